/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/entries.h"
#include "cli/names.h"
#include "cli/output.h"
#include "cli/screen.h"
#include "core/error.h"
#include "core/task.h"
#include "core/text.h"
#include "host/libvirt/events.h"
#include "operations/base/versions.h"
#include "operations/vm/lifecycle.h"

#define LOOK_US (2 * G_TIME_SPAN_SECOND) /* for what libvirt has no events of: addresses, disks */
#define SETTLE_MS 100                    /* what happens together is shown together */
#define REVIVE_PATIENCE_S 10

static gboolean opt_all;
static gboolean opt_all_projects;
static gboolean opt_watch;
static char *opt_project;

const GOptionEntry ramet_options_list[] = {
  { "all", 'a', 0, G_OPTION_ARG_NONE, &opt_all, "Bases, and VMs that ramet did not make, too", NULL },
  { "project", 0, 0, G_OPTION_ARG_STRING, &opt_project, "Only those of a project", "PROJECT" },
  { "all-projects", 0, 0, G_OPTION_ARG_NONE, &opt_all_projects, "Not only this folder's project", NULL },
  { "watch", 'w', 0, G_OPTION_ARG_NONE, &opt_watch, "Go on showing them as they change, until 'q' or Ctrl-C", NULL },
  G_OPTION_ENTRY_NULL,
};

/* What is to be shown. */
typedef struct
{
  const RametProject *file; /* this folder's project, or NULL */
  GPtrArray *entries;       /* (element-type RametEntry): all that were found */
  GPtrArray *picked;        /* (element-type RametEntry) (unowned): those to show, in order */
  GString *notes;           /* lines for people, beside it */
} Listed;

static void
listed_free (Listed *listed)
{
  g_clear_pointer (&listed->picked, g_ptr_array_unref);
  g_clear_pointer (&listed->entries, g_ptr_array_unref);
  g_string_free (listed->notes, TRUE);
  g_free (listed);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Listed, listed_free)

/* What a narrow terminal has no room for is told by 'ramet info' and 'ramet tree', too. */
static RametTable *
table_of (GPtrArray *entries)
{
  static const RametColumn columns[] = {
    { "NAME", 0, 0, FALSE },  { "STATE", 0, 7, FALSE },  { "ADDRESS", 1, 0, FALSE }, { "CPUS", 8, 0, TRUE },
    { "MEMORY", 4, 0, TRUE }, { "DISK", 3, 0, TRUE },    { "SHARED", 5, 0, TRUE },   { "AGE", 2, 0, TRUE },
    { "BASE", 7, 6, FALSE },  { "PROJECT", 6, 7, FALSE },
  };
  RametTable *table = ramet_table_new_columns (columns, G_N_ELEMENTS (columns));

  for (guint i = 0; i < entries->len; i++)
    {
      const RametEntry *entry = g_ptr_array_index (entries, i);
      const RametMetadata *metadata = entry->vm->metadata;
      g_autofree char *cpus = g_strdup_printf ("%u", entry->vcpus);
      g_autofree char *memory = ramet_text_size (entry->memory_kib * 1024);
      g_autofree char *disk = ramet_text_size (entry->own_bytes);
      g_autofree char *shared = ramet_text_size (entry->shared_bytes);
      g_autofree char *age = ramet_created_age (metadata ? metadata->created : NULL);
      g_autofree char *state = ramet_entry_state_words (entry);

      ramet_table_add_coloured (table, ramet_vm_get_name (entry->vm), RAMET_COLOUR_BOLD);
      ramet_table_add_coloured (table, state, ramet_entry_state_colour (entry));
      ramet_table_add (table, entry->address);
      ramet_table_add (table, cpus);
      ramet_table_add (table, memory);
      ramet_table_add (table, metadata || entry->own_bytes ? disk : NULL);
      ramet_table_add (table, entry->shared_bytes ? shared : NULL);
      ramet_table_add (table, age);
      ramet_table_add (table, ramet_entry_base (entry));
      ramet_table_add (table, metadata ? metadata->project : NULL);
    }
  return table;
}

/* (transfer container) (element-type RametEntry): those of the project, in its order; others are counted */
static GPtrArray *
pick_project (GPtrArray *entries, GPtrArray *names, guint *ret_n_others)
{
  GPtrArray *picked = g_ptr_array_new ();

  for (guint i = 0; i < names->len; i++)
    for (guint j = 0; j < entries->len; j++)
      {
        RametEntry *entry = g_ptr_array_index (entries, j);

        if (g_str_equal (ramet_vm_get_name (entry->vm), g_ptr_array_index (names, i)))
          g_ptr_array_add (picked, entry);
      }
  *ret_n_others = entries->len - picked->len;
  return picked;
}

/* What the project's file wants and is not there: told beside the list, of which it is no part. */
static void
note_missing (GString *notes, const RametProject *file, GPtrArray *entries)
{
  for (guint i = 0; i < file->vms->len; i++)
    {
      const RametProjectVm *wanted = g_ptr_array_index (file->vms, i);
      gboolean found = FALSE;

      for (guint j = 0; j < entries->len && !found; j++)
        found = g_str_equal (ramet_vm_get_name (((RametEntry *) g_ptr_array_index (entries, j))->vm), wanted->full_name);
      if (!found)
        g_string_append_printf (notes, "%s is not made yet: 'ramet up %s'\n", wanted->full_name, wanted->name);
    }
}

/* What to do first, which depends on whether there is a base. */
static gboolean
note_none (RametConnection *connection, GString *notes, GError **error)
{
  g_autoptr (GPtrArray) vms = ramet_vm_list (connection, error);
  const RametVm *base = NULL;

  if (vms == NULL)
    return FALSE;
  for (guint i = 0; i < vms->len; i++)
    if (ramet_vm_get_state (g_ptr_array_index (vms, i)) == RAMET_STATE_BASE)
      base = g_ptr_array_index (vms, i);
  if (base)
    {
      const char *name = ramet_version_of (base) ? ramet_version_of (base) : ramet_vm_get_name (base);
      g_autofree char *safe = ramet_text_escape (name, -1);

      g_string_append_printf (notes, "no VMs yet: 'ramet clone %s NAME' makes one\n", safe);
    }
  else
    g_string_append (notes, "no VMs yet: 'ramet base build' makes a base, then 'ramet clone BASE NAME' a VM\n");
  return TRUE;
}

static gboolean
pick (RametConnection *connection, Listed *listed, GError **error)
{
  const RametProject *file = listed->file;
  g_autoptr (GPtrArray) names = NULL;
  guint n_others = 0;

  if (file == NULL)
    {
      listed->picked = g_ptr_array_new ();
      g_ptr_array_extend (listed->picked, listed->entries, NULL, NULL);
      return listed->picked->len > 0 || note_none (connection, listed->notes, error);
    }
  names = ramet_project_list_names (connection, file->name, file, TRUE, error);
  if (names == NULL)
    return FALSE;
  listed->picked = pick_project (listed->entries, names, &n_others);
  note_missing (listed->notes, file, listed->picked);
  if (n_others > 0)
    g_string_append_printf (listed->notes, "%u %s not in the project '%s': 'ramet list --all-projects' shows all\n", n_others,
                            n_others == 1 ? "VM is" : "VMs are", file->name);
  return TRUE;
}

/* (transfer full) */
static Listed *
look (RametConnection *connection, const RametProject *file, GError **error)
{
  g_autoptr (Listed) listed = g_new0 (Listed, 1);

  listed->file = file;
  listed->notes = g_string_new (NULL);
  listed->entries = ramet_inventory_list (connection, opt_all, opt_project, error);
  return listed->entries && pick (connection, listed, error) ? g_steal_pointer (&listed) : NULL;
}

static void
print (RametInvocation *invocation, const Listed *listed)
{
  g_autoptr (RametTable) table = table_of (listed->picked);

  if (invocation->json)
    ramet_entries_print_json (listed->picked, FALSE);
  else if (listed->picked->len > 0)
    ramet_table_print (table);
  if (!invocation->json && !invocation->quiet)
    g_printerr ("%s", listed->notes->str);
}

/* "@PROJECT" is short for --project=PROJECT, of a project that there is. */
static gboolean
take_project (const char *word, GError **error)
{
  if (word[0] != '@' || word[1] == '\0')
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "'ramet list' takes only @PROJECT, not '%s'", word);
      ramet_error_hint (error, "'ramet info NAME' shows one VM");
      return FALSE;
    }
  if (opt_project || opt_all_projects)
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "'%s' says which project already", word);
      ramet_error_hint (error, "leave --project and --all-projects out");
      return FALSE;
    }
  opt_project = g_strdup (word + 1);
  return TRUE;
}

/* ------------------------------------------------------------------ --watch */

typedef struct
{
  RametInvocation *invocation;
  const RametProject *file;
  RametTask *task;
  RametScreen *screen; /* or NULL: stdout is no terminal */
  RametEvents *events;
  char *shown;         /* without a screen: what was printed last, but for what changes all the time */
  gboolean closed;     /* nobody reads stdout any more */
  guint closes;        /* GSource id, or 0 */
} Watch;

static gboolean
on_closed (int fd, GIOCondition condition, gpointer data)
{
  Watch *watch = data;

  watch->closed = TRUE;
  watch->closes = 0;
  return G_SOURCE_REMOVE;
}

/* Once more after libvirtd has gone and come back. */
static Listed *
look_or_reconnect (Watch *watch, GError **error)
{
  RametConnection *connection = watch->invocation->connection;
  g_autoptr (GError) why = NULL;
  Listed *listed = look (connection, watch->file, &why);
  gboolean alive = FALSE;

  if (listed)
    return listed;
  g_clear_pointer (&watch->events, ramet_events_free);
  /* in small steps, for whoever has seen enough meanwhile */
  for (guint i = 0; !alive && i < 2 * REVIVE_PATIENCE_S; i++)
    {
      if (!ramet_task_sleep (watch->task, 500, NULL) || (watch->screen && ramet_screen_is_left (watch->screen)))
        return NULL;
      alive = ramet_connection_revive (connection, 0, NULL);
    }
  if (!alive || !(watch->events = ramet_events_new (connection, NULL)) || !(listed = look (connection, watch->file, NULL)))
    g_propagate_error (error, g_steal_pointer (&why));
  return listed;
}

/* What makes a new table of it for those who read it line by line: sizes and ages would all the time. */
static char *
tell_apart (const Listed *listed)
{
  GString *text = g_string_new (listed->notes->str);

  for (guint i = 0; i < listed->picked->len; i++)
    {
      const RametEntry *entry = g_ptr_array_index (listed->picked, i);
      g_autofree char *state = ramet_entry_state_words (entry);

      g_string_append_printf (text, "%s %s %s %s %u %" G_GUINT64_FORMAT "\n", ramet_vm_get_name (entry->vm), entry->uuid, state,
                              entry->address ? entry->address : "", entry->vcpus, entry->memory_kib);
    }
  return g_string_free (text, FALSE);
}

static void
show_in_lines (Watch *watch, const Listed *listed)
{
  g_autofree char *now = tell_apart (listed);

  if (g_strcmp0 (now, watch->shown) == 0)
    return;
  if (watch->shown && !watch->invocation->json)
    g_print ("\n");
  g_free (watch->shown);
  watch->shown = g_steal_pointer (&now);
  print (watch->invocation, listed);
  if (fflush (stdout) != 0 || ferror (stdout))
    watch->closed = TRUE;
}

static void
show_on_screen (Watch *watch, const Listed *listed)
{
  g_autoptr (RametTable) table = table_of (listed->picked);
  g_autoptr (GDateTime) now = g_date_time_new_now_local ();
  g_autofree char *time = g_date_time_format (now, "%H:%M:%S");
  g_autofree char *text = ramet_table_render (table, ramet_screen_columns (), ramet_talk_colour (STDOUT_FILENO));
  g_autofree char *all = g_strconcat (listed->picked->len > 0 ? text : "", watch->invocation->quiet ? "" : listed->notes->str, NULL);
  g_autofree char *last = g_strdup_printf ("%s  %u %s  q ends", time, listed->picked->len, listed->picked->len == 1 ? "VM" : "VMs");

  ramet_screen_draw (watch->screen, all, last);
}

/* Until something happens, or it is time to look again; %FALSE: it is over. */
static gboolean
wait_for_change (Watch *watch)
{
  gint64 until_us = g_get_monotonic_time () + LOOK_US;
  g_autoptr (GError) why = NULL;

  while (ramet_task_iterate (watch->task, until_us, "a change", &why))
    {
      if (watch->closed || (watch->screen && ramet_screen_is_left (watch->screen)))
        return FALSE;
      if (watch->screen && ramet_screen_take_resized (watch->screen))
        return TRUE;
      if (ramet_events_take (watch->events))
        until_us = MIN (until_us, g_get_monotonic_time () + SETTLE_MS * G_TIME_SPAN_MILLISECOND);
    }
  return !g_error_matches (why, RAMET_ERROR, RAMET_ERROR_CANCELLED);
}

static gboolean
watch_all (Watch *watch, GError **error)
{
  do
    {
      g_autoptr (Listed) listed = look_or_reconnect (watch, error);

      if (listed == NULL)
        return FALSE;
      if (watch->screen)
        show_on_screen (watch, listed);
      else
        show_in_lines (watch, listed);
    }
  while (wait_for_change (watch));
  return TRUE;
}

/* Ctrl-C is how it ends, as it does 'ramet sync --watch': no failure. */
static gboolean
watch (RametInvocation *invocation, const RametProject *file, GError **error)
{
  g_autoptr (RametTask) task = ramet_task_new ("list", invocation->cancellable);
  Watch watch = { .invocation = invocation, .file = file, .task = task };
  gboolean done;

  watch.events = ramet_events_new (invocation->connection, error);
  if (watch.events == NULL)
    return FALSE;
  /* what -v says would stand in the middle of a screen */
  watch.screen = invocation->json || ramet_talk_is_verbose () ? NULL : ramet_screen_new ();
  watch.closes = g_unix_fd_add (STDOUT_FILENO, G_IO_ERR, on_closed, &watch);
  done = watch_all (&watch, error);
  g_clear_handle_id (&watch.closes, g_source_remove);
  g_clear_pointer (&watch.screen, ramet_screen_free);
  g_clear_pointer (&watch.events, ramet_events_free);
  g_free (watch.shown);
  return done;
}

gboolean
ramet_cmd_list (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (RametProject) file = NULL;
  g_autoptr (Listed) listed = NULL;

  if (args[0] && !take_project (args[0], error))
    return FALSE;
  if (!opt_all && !opt_all_projects && !opt_project)
    {
      g_autoptr (GError) why = NULL;

      file = ramet_project_load_here (&why);
      if (why)
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
    }
  listed = look (invocation->connection, file, error);
  if (listed == NULL)
    return FALSE;
  if (opt_project && listed->entries->len == 0)
    {
      ramet_names_set_no_project (opt_project, error);
      return FALSE;
    }
  if (opt_watch)
    return watch (invocation, file, error);
  print (invocation, listed);
  return TRUE;
}
