/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gio/gio.h>

#include "core/error.h"
#include "core/undo.h"

typedef struct
{
  GString *story; /* one letter per inverse that ran; behind it a dot per datum freed */
  char letter;
  gboolean fails;
} Step;

static gboolean
take_back (gpointer data, GError **error)
{
  Step *step = data;

  g_string_append_c (step->story, step->letter);
  if (step->fails)
    ramet_error_set (error, RAMET_ERROR_FAILED, "disk on fire");
  return !step->fails;
}

static void
step_free (gpointer data)
{
  Step *step = data;

  g_string_append_c (step->story, '.');
  g_free (step);
}

static void
push (RametUndo *undo, GString *story, char letter, gboolean fails)
{
  Step *step = g_new (Step, 1);

  step->story = story;
  step->letter = letter;
  step->fails = fails;
  ramet_undo_push (undo, "put out the fire", take_back, step, step_free);
}

static const struct
{
  const char *title;
  const char *steps; /* lower case: an inverse that works, upper case: one that fails, '!': commit */
  const char *ran;   /* in order */
  guint n_freed;
} rows[] = {
  { "nothing done", "", "", 0 },
  { "backwards", "abc", "cba", 3 },
  { "committed", "abc!", "", 3 },
  { "committed halfway", "ab!cd", "dc", 4 },
  { "one fails, the rest goes on", "aBc", "cBa", 3 },
};

static void
test_unwind (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (GString) story = g_string_new (NULL);
  g_autoptr (GString) ran = g_string_new (NULL);
  guint n_freed = 0;
  RametUndo *undo = ramet_undo_new ();

  for (const char *step = rows[i].steps; *step; step++)
    if (*step == '!')
      ramet_undo_commit (undo);
    else
      push (undo, story, *step, g_ascii_isupper (*step));
  for (const char *step = rows[i].steps; *step; step++)
    if (g_ascii_isupper (*step))
      g_test_expect_message ("ramet", G_LOG_LEVEL_WARNING, "could not put out the fire: disk on fire");
  ramet_undo_free (undo);
  g_test_assert_expected_messages ();
  for (const char *p = story->str; *p; p++)
    if (*p == '.')
      n_freed++;
    else
      g_string_append_c (ran, *p);
  g_assert_cmpstr (ran->str, ==, rows[i].ran);
  g_assert_cmpuint (n_freed, ==, rows[i].n_freed);
}

static void
test_no_destroy (void)
{
  g_autoptr (GString) story = g_string_new (NULL);
  Step step = { story, 'a', FALSE };

  {
    g_autoptr (RametUndo) undo = ramet_undo_new ();

    ramet_undo_push (undo, "nothing", take_back, &step, NULL);
  }
  g_assert_cmpstr (story->str, ==, "a");
}

static gboolean
find_two (gpointer data, GError **error)
{
  g_autoptr (GPtrArray) findings = ramet_findings_new ();
  GError *first = NULL;
  GError *second = NULL;

  ramet_error_set (&first, RAMET_ERROR_FAILED, "disk on fire");
  ramet_error_set (&second, RAMET_ERROR_FAILED, "hose cut");
  ramet_findings_take (findings, first);
  ramet_findings_take (findings, second);
  return ramet_findings_raise (findings, error);
}

static void
test_all_is_told (void)
{
  RametUndo *undo = ramet_undo_new ();

  ramet_undo_push (undo, "put out the fire", find_two, NULL, NULL);
  g_test_expect_message ("ramet", G_LOG_LEVEL_WARNING, "could not put out the fire: disk on fire");
  g_test_expect_message ("ramet", G_LOG_LEVEL_WARNING, "could not put out the fire: hose cut");
  ramet_undo_free (undo);
  g_test_assert_expected_messages ();
}

static const struct
{
  RametErrorCode code;
  int status;
} status_rows[] = {
  { RAMET_ERROR_FAILED, 1 },  { RAMET_ERROR_USAGE, 2 },  { RAMET_ERROR_NOT_FOUND, 3 }, { RAMET_ERROR_STATE, 4 },
  { RAMET_ERROR_REFUSED, 5 }, { RAMET_ERROR_PARTLY, 6 }, { RAMET_ERROR_TIMEOUT, 124 }, { RAMET_ERROR_CANCELLED, 130 },
  { RAMET_ERROR_LOST, 1 },    { RAMET_ERROR_FORGED, 1 },
};

static void
test_exit_status (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (GError) error = NULL;

  ramet_error_set (&error, status_rows[i].code, "x");
  g_assert_error (error, RAMET_ERROR, (int) status_rows[i].code);
  g_assert_cmpint (ramet_error_exit_status (error), ==, status_rows[i].status);
}

static void
test_foreign_exit_status (void)
{
  g_autoptr (GError) option = g_error_new_literal (G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION, "x");
  g_autoptr (GError) io = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "x");
  g_autoptr (GError) unknown = g_error_new_literal (RAMET_ERROR, 99, "x");

  g_assert_cmpint (ramet_error_exit_status (option), ==, 2);
  g_assert_cmpint (ramet_error_exit_status (io), ==, 1);
  g_assert_cmpint (ramet_error_exit_status (unknown), ==, 1);
}

static void
test_hint (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) copy = NULL;
  GError *none = NULL;

  ramet_error_set (NULL, RAMET_ERROR_FAILED, "nobody listens");
  ramet_error_hint (NULL, "nobody listens");
  ramet_error_hint (&none, "nothing failed");
  g_assert_null (none);
  ramet_error_set (&error, RAMET_ERROR_STATE, "cannot clone '%s'", "web");
  g_assert_cmpstr (error->message, ==, "cannot clone 'web'");
  g_assert_null (ramet_error_get_hint (error));
  ramet_error_hint (&error, "one");
  ramet_error_hint (&error, "run 'ramet stop %s'", "web");
  copy = g_error_copy (error);
  g_assert_cmpstr (ramet_error_get_hint (copy), ==, "run 'ramet stop web'");
}

static void
test_hint_on_foreign (void)
{
  g_autoptr (GError) error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "no such thing");

  g_assert_null (ramet_error_get_hint (error));
  g_assert_null (ramet_error_get_next (error));
  ramet_error_hint (&error, "look elsewhere");
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_FAILED);
  g_assert_cmpstr (error->message, ==, "no such thing");
  g_assert_cmpstr (ramet_error_get_hint (error), ==, "look elsewhere");
}

static GError *
make_error (RametErrorCode code, const char *message, const char *hint)
{
  GError *error = NULL;

  ramet_error_set (&error, code, "%s", message);
  if (hint)
    ramet_error_hint (&error, "%s", hint);
  return error;
}

static void
test_findings (void)
{
  g_autoptr (GPtrArray) findings = ramet_findings_new ();
  g_autoptr (GError) error = NULL;
  const GError *next;

  ramet_findings_take (findings, NULL);
  g_assert_true (ramet_findings_raise (findings, &error));
  g_assert_no_error (error);
  ramet_findings_take (findings, make_error (RAMET_ERROR_USAGE, "first", "hint 1"));
  ramet_findings_take (findings, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "second"));
  ramet_findings_take (findings, make_error (RAMET_ERROR_REFUSED, "third", "hint 3"));
  g_assert_false (ramet_findings_raise (findings, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_USAGE);
  g_assert_cmpstr (ramet_error_get_hint (error), ==, "hint 1");
  next = ramet_error_get_next (error);
  g_assert_error (next, RAMET_ERROR, RAMET_ERROR_FAILED);
  g_assert_cmpstr (next->message, ==, "second");
  next = ramet_error_get_next (next);
  g_assert_error (next, RAMET_ERROR, RAMET_ERROR_REFUSED);
  g_assert_cmpstr (ramet_error_get_hint (next), ==, "hint 3");
  g_assert_null (ramet_error_get_next (next));
}

static void
test_side_by_side (void)
{
  g_autoptr (GPtrArray) errors = ramet_errors_new (3);
  g_autoptr (GPtrArray) none = ramet_errors_new (0);
  g_autoptr (GError) error = NULL;

  g_assert_true (ramet_errors_raise (none, &error));
  g_assert_true (ramet_errors_raise (errors, &error));
  ramet_errors_set (errors, 0, make_error (RAMET_ERROR_STATE, "replaced", NULL));
  ramet_errors_set (errors, 0, make_error (RAMET_ERROR_STATE, "first", NULL));
  ramet_errors_set (errors, 2, make_error (RAMET_ERROR_TIMEOUT, "third", NULL));
  g_assert_false (ramet_errors_raise (errors, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_STATE);
  g_assert_cmpstr (error->message, ==, "first");
  g_assert_cmpstr (ramet_error_get_next (error)->message, ==, "third");
  g_clear_error (&error);
  /* Ctrl-C is told alone: it is why the others failed, too */
  ramet_errors_set (errors, 1, make_error (RAMET_ERROR_CANCELLED, "interrupted", NULL));
  g_assert_false (ramet_errors_raise (errors, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_CANCELLED);
  g_assert_null (ramet_error_get_next (error));
  ramet_errors_set (errors, 0, NULL);
  ramet_errors_set (errors, 1, NULL);
  ramet_errors_set (errors, 2, NULL);
  g_assert_true (ramet_errors_raise (errors, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *path = g_strdup_printf ("/undo/%s", rows[i].title);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_unwind);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (status_rows); i++)
    {
      g_autofree char *path = g_strdup_printf ("/error/exit-status/%d", (int) status_rows[i].code);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_exit_status);
    }
  g_test_add_func ("/undo/data of somebody else", test_no_destroy);
  g_test_add_func ("/undo/all that fails is told", test_all_is_told);
  g_test_add_func ("/error/exit-status/foreign", test_foreign_exit_status);
  g_test_add_func ("/error/hint/ours", test_hint);
  g_test_add_func ("/error/hint/foreign", test_hint_on_foreign);
  g_test_add_func ("/error/findings", test_findings);
  g_test_add_func ("/error/side-by-side", test_side_by_side);
  return g_test_run ();
}
