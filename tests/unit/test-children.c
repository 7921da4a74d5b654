/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other programs stand in for the ramets that work on VMs: they speak as those do. */
#include <gio/gio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/task.h"
#include "host/children.h"

static char *folder;

static RametChild *
add (GPtrArray *children, const char *name, const char *script)
{
  RametChild *child = ramet_child_new (name);

  child->argv = g_strdupv ((char *[]){ (char *) "/bin/sh", (char *) "-c", (char *) script, (char *) "sh", folder, NULL });
  g_ptr_array_add (children, child);
  return child;
}

static GPtrArray *
children_new (void)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_child_free);
}

static gboolean
exists (const char *name)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);

  return g_file_test (path, G_FILE_TEST_EXISTS);
}

static void
test_done (void)
{
  g_autoptr (GPtrArray) children = children_new ();
  RametChild *child = add (children, "a", "read line; echo \"step $line\" >&$RAMET_TALK_FD; test \"$line\" = hello");

  child->input = g_strdup ("hello\n");
  ramet_children_run (children, 1, NULL);
  g_assert_no_error (child->error);
  g_assert_true (child->done);
}

static void
test_failed (void)
{
  g_autoptr (GPtrArray) children = children_new ();
  RametChild *child = add (children, "a", "printf 'error one \\\\303\\\\251\\\\nline\\nhint do\\nerror two\\nnonsense\\n' >&3; exit 4");

  ramet_children_run (children, 1, NULL);
  g_assert_false (child->done);
  g_assert_error (child->error, RAMET_ERROR, RAMET_ERROR_STATE);
  g_assert_cmpstr (child->error->message, ==, "one é\nline");
  g_assert_cmpstr (ramet_error_get_hint (child->error), ==, "do");
  g_assert_cmpstr (ramet_error_get_next (child->error)->message, ==, "two");
}

static void
test_killed (void)
{
  g_autoptr (GPtrArray) children = children_new ();
  RametChild *child = add (children, "a", "kill -KILL $$");
  RametChild *missing = add (children, "b", "");

  g_free (missing->argv[0]);
  missing->argv[0] = g_strdup ("/nonexistent");
  ramet_children_run (children, 2, NULL);
  g_assert_error (child->error, RAMET_ERROR, RAMET_ERROR_FAILED);
  g_assert_error (missing->error, RAMET_ERROR, RAMET_ERROR_FAILED);
}

/* Each waits until the other is there: one after the other they would never end. */
static void
test_side_by_side (void)
{
  g_autoptr (GPtrArray) children = children_new ();

  add (children, "a", "touch \"$1/a\"; until test -e \"$1/b\"; do sleep 0.05; done");
  add (children, "b", "touch \"$1/b\"; until test -e \"$1/a\"; do sleep 0.05; done");
  ramet_children_run (children, 2, NULL);
  for (guint i = 0; i < 2; i++)
    g_assert_true (((RametChild *) g_ptr_array_index (children, i))->done);
}

static void
test_order (void)
{
  g_autoptr (GPtrArray) children = children_new ();
  RametChild *last = add (children, "last", "test -e \"$1/first\"");
  RametChild *first = add (children, "first", "sleep 0.2; touch \"$1/first\"");
  RametChild *bad = add (children, "bad", "echo error no >&3; exit 1");
  RametChild *never = add (children, "never", "touch \"$1/never\"");
  RametChild *chained = add (children, "chained", "touch \"$1/never\"");
  RametChild *ready = add (children, "ready", "exit 1");
  RametChild *behind = add (children, "behind", "exit 0");

  g_ptr_array_add (last->waits_for, first);
  g_ptr_array_add (never->waits_for, first);
  g_ptr_array_add (never->waits_for, bad);
  g_ptr_array_add (chained->waits_for, never);
  g_ptr_array_add (behind->waits_for, ready);
  ready->done = TRUE;
  ramet_children_run (children, 1, NULL);
  g_assert_true (last->done && first->done && behind->done);
  g_assert_error (bad->error, RAMET_ERROR, RAMET_ERROR_FAILED);
  g_assert_error (never->error, RAMET_ERROR, RAMET_ERROR_FAILED);
  g_assert_nonnull (strstr (never->error->message, "'bad'"));
  g_assert_nonnull (strstr (chained->error->message, "'never'"));
  g_assert_false (exists ("never"));
}

static gboolean
on_cancel (gpointer data)
{
  if (!exists ("begun"))
    return G_SOURCE_CONTINUE;
  g_cancellable_cancel (data);
  return G_SOURCE_REMOVE;
}

/* What runs is told, and waited for; what has not begun never is. */
static void
test_cancelled (void)
{
  g_autoptr (GPtrArray) children = children_new ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  RametChild *runs = add (children, "runs",
                          "trap 'sleep 0.3; touch \"$1/unwound\"; echo error interrupted >&3; exit 130' INT; "
                          "touch \"$1/begun\"; while :; do sleep 0.05; done");
  RametChild *waits = add (children, "waits", "touch \"$1/waited\"");

  g_timeout_add (20, on_cancel, cancellable);
  ramet_children_run (children, 1, cancellable);
  g_assert_error (runs->error, RAMET_ERROR, RAMET_ERROR_CANCELLED);
  g_assert_error (waits->error, RAMET_ERROR, RAMET_ERROR_CANCELLED);
  g_assert_true (exists ("unwound"));
  g_assert_false (exists ("waited"));
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  ramet_talk_init (RAMET_TALK_QUIET);
  folder = g_dir_make_tmp ("ramet-children-XXXXXX", NULL);
  g_test_add_func ("/children/done", test_done);
  g_test_add_func ("/children/failed", test_failed);
  g_test_add_func ("/children/killed", test_killed);
  g_test_add_func ("/children/side by side", test_side_by_side);
  g_test_add_func ("/children/order", test_order);
  g_test_add_func ("/children/cancelled", test_cancelled);
  status = g_test_run ();
  {
    g_autofree char *command = g_strdup_printf ("rm -rf -- '%s'", folder);

    g_assert_true (g_spawn_command_line_sync (command, NULL, NULL, NULL, NULL));
  }
  return status;
}
