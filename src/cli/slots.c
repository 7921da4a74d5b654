/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/slots.h"

#include <string.h>

#define ELLIPSIS "…"

static void
slot_free (gpointer data)
{
  RametSlot *slot = data;

  g_ptr_array_unref (slot->forms);
  g_free (slot);
}

/* Where the part of @text ends that begins at its start: at the first of @ends outside of brackets. */
static gsize
part_length (const char *text, char end)
{
  int depth = 0;
  gsize at;

  for (at = 0; text[at] && (depth > 0 || text[at] != end); at++)
    depth += text[at] == '[' ? 1 : text[at] == ']' ? -1 : 0;
  return at;
}

/* (transfer full) (nullable): what is in the brackets, if they are around all of @text */
static char *
inside_brackets (const char *text)
{
  gsize length = strlen (text);

  if (length < 2 || *text != '[' || 1 + part_length (text + 1, ']') != length - 1)
    return NULL;
  return g_strndup (text + 1, length - 2);
}

/* "NAME[@NEW]…" */
static void
add_forms (RametSlot *slot, const char *text)
{
  g_autofree char *word = g_strdup (text);
  const char *bracket;

  if (g_str_has_suffix (word, ELLIPSIS))
    {
      slot->repeats = TRUE;
      word[strlen (word) - strlen (ELLIPSIS)] = '\0';
    }
  bracket = strchr (word, '[');
  if (bracket)
    {
      g_autoptr (GString) whole = g_string_new (word);

      g_string_replace (whole, "[", "", 0);
      g_string_replace (whole, "]", "", 0);
      g_ptr_array_add (slot->forms, g_strndup (word, (gsize) (bracket - word)));
      g_ptr_array_add (slot->forms, g_strdup (whole->str));
    }
  else if (*word)
    g_ptr_array_add (slot->forms, g_strdup (word));
}

/* What is optional counts like all else: how much there must be says the table by numbers. */
static void
add_slots (GPtrArray *slots, const char *args)
{
  while (*args)
    {
      gsize length = part_length (args, ' ');
      g_autofree char *part = g_strndup (args, length);
      g_autofree char *inside = inside_brackets (part);

      args += length;
      args += strspn (args, " ");
      if (inside)
        add_slots (slots, inside);
      else if (*part)
        {
          RametSlot *slot = g_new0 (RametSlot, 1);

          slot->forms = g_ptr_array_new_with_free_func (g_free);
          for (const char *at = part; *at;)
            {
              gsize n = part_length (at, '|');
              g_autofree char *alternative = g_strndup (at, n);

              add_forms (slot, alternative);
              at += n + (at[n] != '\0');
            }
          g_ptr_array_add (slots, slot);
        }
    }
}

/** ramet_slots_new: (transfer full) (element-type RametSlot): of "BASE NEW" or "[NAME… | @PROJECT]" */
GPtrArray *
ramet_slots_new (const char *args)
{
  GPtrArray *slots = g_ptr_array_new_with_free_func (slot_free);
  g_autoptr (GString) tight = g_string_new (args);

  g_string_replace (tight, " | ", "|", 0);
  add_slots (slots, tight->str);
  return slots;
}

/** ramet_slots_get: (transfer none) (nullable): where the word @index belongs, counted from 0 */
const RametSlot *
ramet_slots_get (GPtrArray *slots, guint index)
{
  const RametSlot *last = slots->len > 0 ? g_ptr_array_index (slots, slots->len - 1) : NULL;

  if (index < slots->len)
    return g_ptr_array_index (slots, index);
  return last && last->repeats ? last : NULL;
}

/** ramet_slot_form_is_literal: whether it is to be typed as it is: "systemd" or "--" */
gboolean
ramet_slot_form_is_literal (const char *form)
{
  for (; *form; form++)
    if (g_ascii_isupper (*form))
      return FALSE;
  return TRUE;
}
