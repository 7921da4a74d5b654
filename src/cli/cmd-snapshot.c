/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "cli/commands.h"
#include "cli/names.h"
#include "cli/output.h"
#include "cli/results.h"
#include "cli/table.h"
#include "core/error.h"
#include "core/text.h"
#include "host/libvirt/storage.h"
#include "model/names.h"
#include "operations/points/create.h"
#include "operations/points/delete.h"
#include "operations/points/revert.h"

static gboolean opt_disk_only;
static gboolean opt_stop_users;
static gboolean opt_kill_users;

const GOptionEntry ramet_options_snapshot_create[] = {
  { "disk-only", 0, 0, G_OPTION_ARG_NONE, &opt_disk_only, "Leave the memory out: quick and small, and no share is detached",
    NULL },
  { "stop-users", 0, 0, G_OPTION_ARG_NONE, &opt_stop_users,
    "Stop the services in the guest that use a share, and start them again", NULL },
  { "kill-users", 0, 0, G_OPTION_ARG_NONE, &opt_kill_users, "End other processes in the guest that use a share", NULL },
  G_OPTION_ENTRY_NULL,
};

/* What was typed: VMs, a project, this folder's project; and a snapshot of them. */
typedef struct
{
  GPtrArray *names; /* (element-type utf8): of VMs */
  char *snapshot;   /* or NULL: none was named */
  gboolean project; /* some may lack the snapshot: VMs come to a project later, too */
} Words;

static void
words_clear (Words *words)
{
  g_clear_pointer (&words->names, g_ptr_array_unref);
  g_clear_pointer (&words->snapshot, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Words, words_clear)

/* A word that names a snapshot names the same one as those before it. */
static gboolean
take_snapshot (Words *words, char *snapshot, GError **error)
{
  g_autofree char *other = words->snapshot;

  words->snapshot = snapshot;
  if (other == NULL || g_str_equal (other, snapshot))
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_USAGE, "'%s' and '%s' cannot be taken together: they are two points in time", other,
                   snapshot);
  ramet_error_hint (error, "one at a time");
  return FALSE;
}

/* A word without '@' that is no VM's name is a snapshot of this folder's project. */
static gboolean
is_snapshot_alone (RametInvocation *invocation, char **args)
{
  return args[0] && args[1] == NULL && *args[0] != '@' && !ramet_domain_exists (invocation->connection, args[0]);
}

/* "web@" is no VM's name but one that was not finished. */
static gboolean
check_finished (RametInvocation *invocation, const char *word, GError **error)
{
  g_autofree char *safe = NULL;

  if (!g_str_has_suffix (word, "@") || ramet_domain_exists (invocation->connection, word))
    return TRUE;
  safe = ramet_text_escape (word, -1);
  ramet_error_set (error, RAMET_ERROR_USAGE, "'%s' names no snapshot", safe);
  ramet_error_hint (error, "write VM@SNAPSHOT, or @PROJECT@SNAPSHOT; 'ramet snapshot list' shows which there are");
  return FALSE;
}

/*
 * "web@before", "@shop@before", or "before" for this folder's project; without a snapshot "web", "@shop", or nothing for this
 * folder's project.
 */
static gboolean
parse_words (RametInvocation *invocation, char **args, Words *words, GError **error)
{
  g_autoptr (GPtrArray) whose = g_ptr_array_new_with_free_func (g_free);

  if (is_snapshot_alone (invocation, args) && !strchr (args[0], '@'))
    {
      words->snapshot = g_strdup (args[0]);
      args++;
    }
  words->project = *args == NULL;
  for (; *args; args++)
    {
      char *snapshot = NULL;
      char *who = NULL;

      if (!check_finished (invocation, *args, error))
        return FALSE;
      if (!ramet_name_split_point (*args, &who, &snapshot))
        who = g_strdup (*args);
      words->project = words->project || *who == '@';
      g_ptr_array_add (whose, who);
      if (snapshot && !take_snapshot (words, snapshot, error))
        return FALSE;
    }
  if (words->snapshot && !ramet_name_check_snapshot (words->snapshot, error))
    return FALSE;
  g_ptr_array_add (whose, NULL);
  words->names = ramet_expand_names (invocation, (char **) whose->pdata, RAMET_NAMES_AS_WRITTEN, error);
  return words->names != NULL;
}

/* Whether this folder has a project, so that its VMs may be left unnamed. */
static gboolean
check_somebody_is_meant (RametInvocation *invocation, const char *command, char **args, GError **error)
{
  if (args[0] && (strchr (args[0], '@') || !is_snapshot_alone (invocation, args)))
    return TRUE;
  if (ramet_names_check_given (command, TRUE, error))
    return TRUE;
  if (args[0])
    {
      g_clear_error (error);
      ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "there is no VM '%s', and no project in this folder or above whose snapshot "
                       "that could be", args[0]);
      ramet_error_hint (error, "'ramet %s VM@%s', or '@PROJECT@%s'", command, args[0], args[0]);
    }
  return FALSE;
}

static gboolean
check_snapshot_named (const Words *words, const char *command, char **args, GError **error)
{
  if (words->snapshot)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_USAGE, "'ramet %s' wants the name of a snapshot", command);
  if (args[0])
    ramet_error_hint (error, "'ramet %s %s@SNAPSHOT'; 'ramet snapshot list %s' shows them", command, args[0], args[0]);
  else
    ramet_error_hint (error, "'ramet snapshot list' shows them");
  return FALSE;
}

static gboolean
check_any_left (const Words *words, GError **error)
{
  if (words->names->len > 0)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "no VM of the project has a snapshot '%s'", words->snapshot);
  ramet_error_hint (error, "'ramet snapshot list' shows what there is");
  return FALSE;
}

/* Of a project, only those that have the snapshot, or what is left of one whose deletion was cut off. */
static gboolean
keep_those_that_have_it (RametInvocation *invocation, Words *words, RametTask *task, GError **error)
{
  for (guint i = words->names->len; words->project && i-- > 0;)
    {
      const char *name = g_ptr_array_index (words->names, i);
      g_autoptr (RametVm) vm = ramet_vm_open (invocation->connection, name, NULL);

      if (vm && vm->metadata && ramet_points_find (vm->metadata->points, words->snapshot))
        continue;
      if (vm)
        ramet_task_note (task, "'%s' has no snapshot '%s' and is left alone", name, words->snapshot);
      g_ptr_array_remove_index (words->names, i);
    }
  return check_any_left (words, error);
}

/* Whether @vm was there at @when, in ISO 8601; where nobody can tell, it was. */
static gboolean
was_there (const RametVm *vm, const char *when)
{
  g_autoptr (GTimeZone) utc = g_time_zone_new_utc ();
  const char *created = vm->metadata->created;
  g_autoptr (GDateTime) vm_at = created ? g_date_time_new_from_iso8601 (created, utc) : NULL;
  g_autoptr (GDateTime) at = when ? g_date_time_new_from_iso8601 (when, utc) : NULL;

  return vm_at == NULL || at == NULL || g_date_time_compare (vm_at, at) <= 0;
}

/*
 * Those that have the snapshot stay in @words, and @ret_created is when it was taken of one of them; the others (element-type
 * RametVm) come to @lacking.
 */
static gboolean
split (RametInvocation *invocation, Words *words, GPtrArray *lacking, char **ret_created, GError **error)
{
  for (guint i = words->names->len; i-- > 0;)
    {
      g_autoptr (GError) why = NULL;
      g_autoptr (RametVm) vm = ramet_vm_open (invocation->connection, g_ptr_array_index (words->names, i), &why);
      const RametPoint *point = vm && vm->metadata ? ramet_points_find (vm->metadata->points, words->snapshot) : NULL;

      if (vm == NULL && !g_error_matches (why, RAMET_ERROR, RAMET_ERROR_NOT_FOUND)) /* one that is not made yet */
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
      if (point && !point->dropped)
        {
          if (*ret_created == NULL)
            *ret_created = g_strdup (point->created);
          continue;
        }
      g_ptr_array_remove_index (words->names, i);
      if (vm && vm->metadata)
        g_ptr_array_insert (lacking, 0, g_steal_pointer (&vm));
    }
  return TRUE;
}

/* "db@before worker@before" */
static char *
name_the_rest (const Words *words)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < words->names->len; i++)
    g_string_append_printf (text, "%s%s@%s", i ? " " : "", (char *) g_ptr_array_index (words->names, i), words->snapshot);
  return g_string_free (text, FALSE);
}

/* A project is brought back to one point in time: only what was made later may lack the snapshot. */
static gboolean
check_whole_project (RametInvocation *invocation, Words *words, RametTask *task, GError **error)
{
  g_autoptr (GPtrArray) lacking = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_vm_free);
  g_autoptr (GPtrArray) findings = ramet_findings_new ();
  g_autofree char *created = NULL;
  g_autofree char *rest = NULL;

  if (!words->project)
    return TRUE;
  if (!split (invocation, words, lacking, &created, error) || !check_any_left (words, error))
    return FALSE;
  rest = name_the_rest (words);
  for (guint i = 0; i < lacking->len; i++)
    {
      const RametVm *vm = g_ptr_array_index (lacking, i);
      const char *name = ramet_vm_get_name (vm);
      GError *why = NULL;

      if (was_there (vm, created))
        {
          ramet_error_set (&why, RAMET_ERROR_STATE, "'%s' has no snapshot '%s', which the others have, and was there when it "
                           "was taken", name, words->snapshot);
          ramet_error_hint (&why, "'ramet snapshot revert %s' brings back the others alone", rest);
        }
      else
        ramet_task_warn (task, "'%s' was made after the snapshot '%s', and is left as it is", name, words->snapshot);
      ramet_findings_take (findings, why);
    }
  return ramet_findings_raise (findings, error);
}

static char *
subject_of (const Words *words)
{
  if (words->names->len == 1)
    return g_strdup_printf ("%s@%s", (char *) g_ptr_array_index (words->names, 0), words->snapshot);
  return g_strdup_printf ("%u VMs@%s", words->names->len, words->snapshot);
}

/* Each VM did it, or none. */
static gboolean
tell (RametInvocation *invocation, const Words *words, const char *did, GError **error)
{
  g_autoptr (RametResults) results = ramet_results_new ();

  if (invocation->json)
    {
      for (guint i = 0; i < words->names->len; i++)
        ramet_results_add (results, g_ptr_array_index (words->names, i), did, NULL);
      return ramet_results_tell (results, invocation, error);
    }
  for (guint i = 0; i < words->names->len && !invocation->quiet; i++)
    g_print ("%s@%s\n", (char *) g_ptr_array_index (words->names, i), words->snapshot);
  return TRUE;
}

gboolean
ramet_cmd_snapshot_create (RametInvocation *invocation, char **args, GError **error)
{
  const RametPointsCreateOptions options = { .disk_only = opt_disk_only, .stop_users = opt_stop_users,
                                             .kill_users = opt_kill_users };
  g_auto (Words) words = { 0 };
  g_autofree char *subject = NULL;
  g_autoptr (RametTask) task = NULL;

  if (!check_somebody_is_meant (invocation, "snapshot create", args, error) ||
      !parse_words (invocation, args, &words, error))
    return FALSE;
  if (words.snapshot == NULL)
    words.snapshot = ramet_points_default_name ();
  subject = subject_of (&words);
  task = ramet_task_new (subject, invocation->cancellable);
  return ramet_points_create (invocation->connection, task, words.names, words.snapshot, &options, error) &&
         tell (invocation, &words, "snapshot taken", error);
}

gboolean
ramet_cmd_snapshot_revert (RametInvocation *invocation, char **args, GError **error)
{
  g_auto (Words) words = { 0 };
  g_autofree char *subject = NULL;
  g_autoptr (RametTask) task = NULL;

  if (!check_somebody_is_meant (invocation, "snapshot revert", args, error) ||
      !parse_words (invocation, args, &words, error) || !check_snapshot_named (&words, "snapshot revert", args, error))
    return FALSE;
  subject = subject_of (&words);
  task = ramet_task_new (subject, invocation->cancellable);
  return check_whole_project (invocation, &words, task, error) &&
         ramet_points_revert (invocation->connection, task, words.names, words.snapshot, error) &&
         tell (invocation, &words, "reverted", error);
}

static gboolean
delete_one (RametVm *vm, RametTask *task, gpointer data, GError **error)
{
  return ramet_points_delete (ramet_domain_get_connection (vm->domain), task, ramet_vm_get_name (vm), data, FALSE, error);
}

gboolean
ramet_cmd_snapshot_delete (RametInvocation *invocation, char **args, GError **error)
{
  g_auto (Words) words = { 0 };
  g_autoptr (RametTask) task = NULL;

  if (!check_somebody_is_meant (invocation, "snapshot delete", args, error) ||
      !parse_words (invocation, args, &words, error) || !check_snapshot_named (&words, "snapshot delete", args, error))
    return FALSE;
  task = ramet_task_new (words.snapshot, invocation->cancellable);
  if (!keep_those_that_have_it (invocation, &words, task, error))
    return FALSE;
  g_clear_pointer (&task, ramet_task_free);
  g_ptr_array_add (words.names, NULL);
  return ramet_each_vm (invocation, (char **) words.names->pdata, RAMET_NAMES_AS_WRITTEN, delete_one, words.snapshot, error);
}

/* ------------------------------------------------------------------ what there is */

static guint64
layer_bytes (const RametPointVm *pvm, const RametPoint *point)
{
  guint64 sum = 0;

  for (guint i = 0; i < point->layers->len; i++)
    {
      guint64 bytes = 0;

      if (ramet_volume_get_allocation (ramet_point_vm_connection (pvm),
                                       ((RametFingerprint *) g_ptr_array_index (point->layers, i))->path, &bytes))
        sum += bytes;
    }
  return sum;
}

static guint64
memory_bytes (const RametPointVm *pvm, const RametPoint *point)
{
  guint64 bytes = 0;

  if (point->memory)
    ramet_volume_get_allocation (ramet_point_vm_connection (pvm), point->memory->path, &bytes);
  return bytes;
}

static void
print_json_point (JsonBuilder *builder, const RametPointVm *pvm, const RametPoint *point)
{
  const RametPointTrouble *trouble = ramet_point_vm_trouble (pvm, point);

  json_builder_begin_object (builder);
  ramet_json_add_string (builder, "vm", ramet_point_vm_name (pvm));
  ramet_json_add_string (builder, "project", pvm->vm->metadata->project);
  ramet_json_add_string (builder, "name", point->name);
  ramet_json_add_string (builder, "created", point->created);
  ramet_json_add_string (builder, "parent", point->parent);
  ramet_json_add_string (builder, "run", point->run);
  ramet_json_add_bool (builder, "memory", point->memory != NULL);
  ramet_json_add_int (builder, "memory_bytes", (gint64) memory_bytes (pvm, point));
  ramet_json_add_int (builder, "disk_bytes", (gint64) layer_bytes (pvm, point));
  ramet_json_add_bool (builder, "current", g_strcmp0 (pvm->vm->metadata->current, point->name) == 0);
  ramet_json_add_string (builder, "trouble", trouble ? trouble->text : NULL);
  json_builder_end_object (builder);
}

static char *
local_time (const char *created)
{
  g_autoptr (GTimeZone) utc = g_time_zone_new_utc ();
  g_autoptr (GDateTime) at = created ? g_date_time_new_from_iso8601 (created, utc) : NULL;
  g_autoptr (GDateTime) local = at ? g_date_time_to_local (at) : NULL;

  return local ? g_date_time_format (local, "%Y-%m-%d %H:%M:%S") : NULL;
}

static void
add_row (RametTable *table, const RametPointVm *pvm, const RametPoint *point, guint depth)
{
  gboolean current = g_strcmp0 (pvm->vm->metadata->current, point->name) == 0;
  g_autofree char *name = g_strdup_printf ("%*s%s@%s", (int) depth * 2, "", ramet_point_vm_name (pvm), point->name);
  g_autofree char *created = local_time (point->created);
  g_autofree char *size = ramet_text_size (layer_bytes (pvm, point) + memory_bytes (pvm, point));

  ramet_table_add (table, name);
  ramet_table_add (table, created);
  ramet_table_add (table, size);
  ramet_table_add (table, point->memory ? "yes" : "no");
  ramet_table_add (table, point->making                          ? "half made"
                          : ramet_point_vm_trouble (pvm, point) ? "damaged"
                          : current                             ? "current"
                                                                : NULL);
}

/* A deleted one that others stand on is not shown, but what stands on it is. */
static void
add_rows (RametTable *table, const RametPointVm *pvm, const char *parent, guint depth)
{
  GPtrArray *points = pvm->vm->metadata->points;

  for (guint i = 0; i < points->len && depth <= points->len; i++)
    {
      const RametPoint *point = g_ptr_array_index (points, i);

      if (g_strcmp0 (point->parent, parent) != 0)
        continue;
      if (!point->dropped)
        add_row (table, pvm, point, depth);
      add_rows (table, pvm, point->name, point->dropped ? depth : depth + 1);
    }
}

/* Returns: whether there is any snapshot */
static gboolean
print_table (GPtrArray *pvms)
{
  static const RametColumn columns[] = {
    { "SNAPSHOT", 0, 0, FALSE }, { "CREATED", 2, 0, FALSE }, { "SIZE", 1, 0, TRUE }, { "MEMORY", 3, 0, FALSE },
    { "STATE", 0, 0, FALSE },
  };
  g_autoptr (RametTable) table = ramet_table_new_columns (columns, G_N_ELEMENTS (columns));

  for (guint i = 0; i < pvms->len; i++)
    add_rows (table, g_ptr_array_index (pvms, i), NULL, 0);
  if (ramet_table_is_empty (table))
    return FALSE;
  ramet_table_print (table);
  return TRUE;
}

static void
print_json (GPtrArray *pvms)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();

  json_builder_begin_array (builder);
  for (guint i = 0; i < pvms->len; i++)
    {
      const RametPointVm *pvm = g_ptr_array_index (pvms, i);

      for (guint j = 0; j < pvm->vm->metadata->points->len; j++)
        {
          const RametPoint *point = g_ptr_array_index (pvm->vm->metadata->points, j);

          if (!point->dropped)
            print_json_point (builder, pvm, point);
        }
    }
  json_builder_end_array (builder);
  ramet_print_json (builder);
}

/* What was done on the side, one warning each, with what to do about it. */
static void
tell_troubles (const RametPointVm *pvm)
{
  for (guint i = 0; i < pvm->troubles->len; i++)
    {
      const RametPointTrouble *trouble = g_ptr_array_index (pvm->troubles, i);
      g_autofree char *text = NULL;

      /* disks of a VM without snapshots are its own affair */
      if (trouble->kind == RAMET_POINT_TROUBLE_DISKS && pvm->vm->metadata->points->len == 0)
        continue;
      text = g_strdup_printf ("'%s': %s\nhint: %s", ramet_point_vm_name (pvm), trouble->text, trouble->hint);
      ramet_print_warning (text);
    }
}

/* Without a project in this folder: all VMs. */
static GPtrArray *
names_to_list (RametInvocation *invocation, char **args, GError **error)
{
  g_autofree char *path = *args ? NULL : ramet_project_find_file (NULL);
  g_autoptr (GPtrArray) vms = NULL;
  GPtrArray *names;

  if (*args || path)
    return ramet_expand_names (invocation, args, RAMET_NAMES_AS_WRITTEN, error);
  vms = ramet_vm_list (invocation->connection, error);
  if (vms == NULL)
    return NULL;
  names = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < vms->len; i++)
    {
      const RametVm *vm = g_ptr_array_index (vms, i);
      RametState state = ramet_vm_get_state (vm);

      if (state == RAMET_STATE_READY || state == RAMET_STATE_RAW)
        g_ptr_array_add (names, g_strdup (ramet_vm_get_name (vm)));
    }
  return names;
}

gboolean
ramet_cmd_snapshot_list (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (GPtrArray) names = names_to_list (invocation, args, error);
  g_autoptr (GPtrArray) pvms = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_point_vm_free);

  for (guint i = 0; names && i < names->len; i++)
    {
      const char *name = g_ptr_array_index (names, i);
      g_autoptr (GError) why = NULL;
      RametPointVm *pvm = ramet_point_vm_open (invocation->connection, name, &why);

      if (pvm)
        g_ptr_array_add (pvms, pvm);
      else if (*args || !g_error_matches (why, RAMET_ERROR, RAMET_ERROR_NOT_FOUND)) /* one of the project that is not made yet */
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
    }
  if (names == NULL)
    return FALSE;
  if (invocation->json)
    print_json (pvms);
  else if (!print_table (pvms) && !invocation->quiet)
    g_printerr ("no snapshots yet: 'ramet snapshot create NAME' makes one\n");
  for (guint i = 0; i < pvms->len; i++)
    tell_troubles (g_ptr_array_index (pvms, i));
  return TRUE;
}
