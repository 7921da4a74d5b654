/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/place.h"

#include <string.h>

/* Words are walked over as GOption would parse them, but what is not known stops nobody. */
typedef struct
{
  RametPlace *place;
  const GOptionEntry *waiting; /* for its value, the next word */
  gboolean options_ended;
  gboolean lost; /* nothing can be told of what follows */
} Walk;

void
ramet_place_free (RametPlace *place)
{
  g_free (place->uri);
  g_free (place->first_word);
  g_free (place->before_value);
  g_ptr_array_unref (place->given);
  g_ptr_array_unref (place->options_given);
  g_free (place);
}

gboolean
ramet_option_takes_value (const GOptionEntry *option)
{
  return option->arg != G_OPTION_ARG_NONE &&
         !(option->arg == G_OPTION_ARG_CALLBACK && (option->flags & G_OPTION_FLAG_NO_ARG));
}

/* (nullable): by its long name, of @length bytes, or by its letter if @length is 0 */
static const GOptionEntry *
find_option (const Walk *walk, const char *name, gsize length)
{
  const GOptionEntry *tables[] = { walk->place->command ? walk->place->command->options : NULL, ramet_options_global,
                                   ramet_options_first };

  for (gsize i = 0; i < G_N_ELEMENTS (tables); i++)
    for (const GOptionEntry *option = tables[i]; option && option->long_name; option++)
      if (length == 0 ? option->short_name == *name
                      : strlen (option->long_name) == length && strncmp (option->long_name, name, length) == 0)
        return option;
  return NULL;
}

static void
take_value (Walk *walk, const GOptionEntry *option, const char *value)
{
  if (option->arg_data == &ramet_global.uri)
    {
      g_free (walk->place->uri);
      walk->place->uri = g_strdup (value);
    }
}

/* "--connect=URI", "--connect", "-c" or "-qcURI" */
static void
take_option (Walk *walk, const char *word)
{
  gboolean is_long = g_str_has_prefix (word, "--");
  const char *at = word + (is_long ? 2 : 1);

  while (*at)
    {
      gsize length = is_long ? strcspn (at, "=") : 0;
      const GOptionEntry *option = find_option (walk, at, length);

      if (option == NULL)
        return;
      g_ptr_array_add (walk->place->options_given, (gpointer) option);
      at += is_long ? length : 1;
      if (ramet_option_takes_value (option))
        {
          if (*at)
            take_value (walk, option, at + is_long);
          else
            walk->waiting = option;
          return;
        }
      if (is_long)
        return;
    }
}

static void
take_command (Walk *walk, const char *word)
{
  RametPlace *place = walk->place;
  g_autofree char *name = place->first_word ? g_strconcat (place->first_word, " ", word, NULL) : g_strdup (word);
  g_autofree char *start = g_strconcat (word, " ", NULL);

  for (gsize i = 0; i < ramet_n_commands; i++)
    {
      if (g_str_equal (ramet_commands[i].name, name))
        {
          place->command = &ramet_commands[i];
          return;
        }
      if (place->first_word == NULL && g_str_has_prefix (ramet_commands[i].name, start))
        {
          place->first_word = g_strdup (word);
          return;
        }
    }
  walk->lost = TRUE;
}

static void
take_word (Walk *walk, const char *word)
{
  const RametCommand *command = walk->place->command;
  gboolean is_posix = command && (command->flags & RAMET_COMMAND_POSIX);

  if (walk->waiting)
    take_value (walk, g_steal_pointer (&walk->waiting), word);
  else if (g_str_equal (word, "--") && is_posix)
    walk->lost = TRUE; /* from here on it is another program's */
  else if (g_str_equal (word, "--") && !walk->options_ended)
    walk->options_ended = TRUE;
  else if (*word == '-' && word[1] && !walk->options_ended)
    take_option (walk, word);
  else if (command == NULL)
    take_command (walk, word);
  else
    {
      g_ptr_array_add (walk->place->given, g_strdup (word));
      walk->options_ended |= is_posix;
    }
}

/* @word is as much of the last word as there is. */
static RametPlaceKind
settle (Walk *walk, const char *word)
{
  RametPlace *place = walk->place;
  const char *equals = g_str_has_prefix (word, "--") && !walk->options_ended ? strchr (word, '=') : NULL;

  place->before_value = g_strdup ("");
  if (walk->lost)
    return RAMET_PLACE_NOWHERE;
  place->option = walk->waiting;
  if (place->option)
    return RAMET_PLACE_VALUE;
  if (equals)
    {
      g_free (place->before_value);
      place->before_value = g_strndup (word, (gsize) (equals + 1 - word));
      place->option = find_option (walk, word + 2, (gsize) (equals - word - 2));
      return place->option && ramet_option_takes_value (place->option) ? RAMET_PLACE_VALUE : RAMET_PLACE_NOWHERE;
    }
  if (*word == '-' && !walk->options_ended)
    return RAMET_PLACE_OPTION;
  return place->command ? RAMET_PLACE_ARGUMENT : RAMET_PLACE_COMMAND;
}

/**
 * ramet_place_new:
 * @words: behind "ramet", without quotes; the last one is the one to be completed, and may be empty
 *
 * Returns: (transfer full)
 */
RametPlace *
ramet_place_new (char **words)
{
  g_autoptr (RametPlace) place = g_new0 (RametPlace, 1);
  Walk walk = { .place = place };

  place->given = g_ptr_array_new_with_free_func (g_free);
  place->options_given = g_ptr_array_new ();
  while (words[0] && words[1])
    take_word (&walk, *words++);
  place->kind = settle (&walk, words[0] ? words[0] : "");
  return g_steal_pointer (&place);
}
