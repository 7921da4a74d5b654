/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the table of commands says of its arguments and options is what completion knows of. */
#include "cli/complete.h"
#include "cli/slots.h"

static const struct
{
  const char *args;
  const char *slots; /* as they are put together by describe() */
} rows[] = {
  { "", "" },
  { "NAME", "NAME" },
  { "NAME…", "NAME+" },
  { "[NAME…]", "NAME+" },
  { "NAME [PATH…]", "NAME, PATH+" },
  { "BASE|NAME@SNAPSHOT NEW", "BASE or NAME@SNAPSHOT, NEW" },
  { "[NAME] [-- COMMAND…]", "NAME, --, COMMAND+" },
  { "[NEW | NAME[@NEW]… | @PROJECT[@NEW]]", "NEW or NAME or NAME@NEW or @PROJECT or @PROJECT@NEW+" },
  { "DIR[:GUESTDIR]", "DIR or DIR:GUESTDIR" },
  { "systemd|openrc", "systemd or openrc" },
  { "[a", " or a" }, /* nobody would write it; it must only end */
};

static char *
describe (const char *args)
{
  g_autoptr (GPtrArray) slots = ramet_slots_new (args);
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < slots->len; i++)
    {
      const RametSlot *slot = g_ptr_array_index (slots, i);

      for (guint j = 0; j < slot->forms->len; j++)
        g_string_append_printf (text, "%s%s", j > 0 ? " or " : i > 0 ? ", " : "", (char *) g_ptr_array_index (slot->forms, j));
      g_string_append (text, slot->repeats ? "+" : "");
    }
  return g_string_free (text, FALSE);
}

static void
test_slots (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *slots = describe (rows[i].args);

  g_assert_cmpstr (slots, ==, rows[i].slots);
}

static void
check_known (const char *where, const char *args)
{
  g_autoptr (GPtrArray) slots = ramet_slots_new (args ? args : "");

  for (guint i = 0; i < slots->len; i++)
    {
      const RametSlot *slot = g_ptr_array_index (slots, i);

      for (guint j = 0; j < slot->forms->len; j++)
        if (!ramet_complete_knows (g_ptr_array_index (slot->forms, j)))
          {
            g_test_message ("'%s' of %s is no word that completion knows: use one it knows, or add it to 'forms' in "
                            "src/cli/complete.c", (char *) g_ptr_array_index (slot->forms, j), where);
            g_test_fail ();
          }
    }
}

static void
check_options (const char *command, const GOptionEntry *options)
{
  for (; options && options->long_name; options++)
    {
      g_autofree char *where = g_strdup_printf ("'ramet %s --%s'", command, options->long_name);

      check_known (where, options->arg_description);
      if (ramet_option_takes_value (options) != (options->arg_description != NULL))
        {
          g_test_message ("%s takes a value and does not say which, or the other way round", where);
          g_test_fail ();
        }
    }
}

static void
test_known (void)
{
  for (gsize i = 0; i < ramet_n_commands; i++)
    {
      g_autofree char *where = g_strdup_printf ("'ramet %s'", ramet_commands[i].name);

      check_known (where, ramet_commands[i].args);
      check_options (ramet_commands[i].name, ramet_commands[i].options);
    }
  check_options ("", ramet_options_global);
  check_options ("", ramet_options_first);
  g_assert_false (ramet_complete_knows ("FROB"));
  g_assert_false (ramet_complete_knows ("NAME@FROB"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *path = g_strdup_printf ("/complete/slots/%" G_GSIZE_FORMAT, i);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_slots);
    }
  g_test_add_func ("/complete/known", test_known);
  return g_test_run ();
}
