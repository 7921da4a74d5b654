/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/names.h"
#include "cli/output.h"
#include "core/error.h"
#include "core/paths.h"
#include "core/task.h"
#include "core/text.h"
#include "host/children.h"
#include "host/files/lock.h"
#include "operations/clone/clone.h"
#include "operations/project/up.h"
#include "operations/vm/lifecycle.h"

static struct
{
  int jobs, timeout;
  gboolean grant, keep, force, dry_run;
} opt = { .timeout = RAMET_TIMEOUT_NOT_GIVEN };

const GOptionEntry ramet_options_up[] = {
  { "jobs", 'j', 0, G_OPTION_ARG_INT, &opt.jobs, "How many VMs at a time; else two for each CPU", "N" },
  { "grant", 0, 0, G_OPTION_ARG_NONE, &opt.grant, "Let QEMU's user reach shares and base by ACL; remove undoes it",
    NULL },
  { "keep", 0, 0, G_OPTION_ARG_NONE, &opt.keep, "If making a VM fails, leave it for looking into", NULL },
  { "timeout", 0, 0, G_OPTION_ARG_INT, &opt.timeout, "How long to wait for each guest in all, in seconds; else 600",
    "SECONDS" },
  { "dry-run", 0, 0, G_OPTION_ARG_NONE, &opt.dry_run, "Say what would be done", NULL },
  G_OPTION_ENTRY_NULL,
};

const GOptionEntry ramet_options_up_one[] = {
  { "grant", 0, 0, G_OPTION_ARG_NONE, &opt.grant, "As of up", NULL },
  { "keep", 0, 0, G_OPTION_ARG_NONE, &opt.keep, "As of up", NULL },
  { "timeout", 0, 0, G_OPTION_ARG_INT, &opt.timeout, "As of up", "SECONDS" },
  G_OPTION_ENTRY_NULL,
};

const GOptionEntry ramet_options_down[] = {
  { "jobs", 'j', 0, G_OPTION_ARG_INT, &opt.jobs, "How many VMs at a time; else all", "N" },
  { "force", 'f', 0, G_OPTION_ARG_NONE, &opt.force, "Pull the plug rather than ask the guests", NULL },
  { "timeout", 0, 0, G_OPTION_ARG_INT, &opt.timeout, "How long to wait for each guest, in seconds; else 120", "SECONDS" },
  G_OPTION_ENTRY_NULL,
};

/* One VM of the project: what it needs, and the process that does it. */
typedef struct
{
  const RametProjectVm *wanted; /* NULL: of the project, but not in its file */
  RametUpNeed need;
  GPtrArray *notes; /* (element-type utf8): what differs between file and VM */
  RametChild *child;
} Job;

/* What one `ramet up` or `down` is about. */
typedef struct
{
  RametInvocation *invocation;
  RametProject *project;
  char *path;
  GPtrArray *jobs; /* (element-type Job): each behind those that it comes after */
  RametLock *lock;
} Session;

static void
job_free (gpointer data)
{
  Job *job = data;

  g_clear_pointer (&job->child, ramet_child_free);
  g_ptr_array_unref (job->notes);
  g_free (job);
}

static void
session_clear (Session *session)
{
  g_clear_pointer (&session->jobs, g_ptr_array_unref);
  g_clear_pointer (&session->project, ramet_project_free);
  g_free (session->path);
  g_clear_pointer (&session->lock, ramet_lock_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Session, session_clear)

static Job *
find_job (Session *session, const char *name)
{
  for (guint i = 0; i < session->jobs->len; i++)
    {
      Job *job = g_ptr_array_index (session->jobs, i);

      if (g_str_equal (job->child->name, name))
        return job;
    }
  return NULL;
}

static Job *
add_job (Session *session, const RametProjectVm *wanted, const char *name)
{
  Job *job = g_new0 (Job, 1);

  job->wanted = wanted;
  job->child = ramet_child_new (name);
  job->notes = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (session->jobs, job);
  return job;
}

static gboolean
open_session (Session *session, const char *command, GError **error)
{
  g_autoptr (RametTask) task = NULL;

  if (opt.jobs < 0)
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "--jobs takes a number above 0, not %d", opt.jobs);
      return FALSE;
    }
  if (!ramet_names_check_given (command, FALSE, error))
    return FALSE;
  session->path = ramet_project_find_file (error);
  session->project = session->path ? ramet_project_load (session->path, error) : NULL;
  if (session->project == NULL)
    return FALSE;
  if (chdir (session->project->folder) < 0)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot go to the project's folder '%s'", session->project->folder);
      return FALSE;
    }
  session->jobs = g_ptr_array_new_with_free_func (job_free);
  task = ramet_task_new (session->project->name, session->invocation->cancellable);
  ramet_task_note (task, "the project file is '%s'", session->path);
  /* not the folder, which apply locks where it is shared */
  session->lock = ramet_lock_file (task, session->path, error);
  if (session->lock == NULL)
    return FALSE;
  /* whoever had to wait may find other wishes in it by now */
  ramet_project_free (session->project);
  session->project = ramet_project_load (session->path, error);
  return session->project != NULL;
}

static void
mark (const RametProject *project, const RametProjectVm *vm, GHashTable *marked)
{
  if (!g_hash_table_add (marked, (gpointer) vm))
    return;
  for (char **after = vm->after; after && *after; after++)
    mark (project, ramet_project_find_vm (project, *after), marked);
}

/* Those named, or all; @with_before: and all that they come after. */
static gboolean
choose (Session *session, char **names, gboolean with_before, GError **error)
{
  g_autoptr (GHashTable) marked = g_hash_table_new (NULL, NULL);
  g_autoptr (GPtrArray) order = ramet_project_order (session->project);
  gboolean all = *names == NULL;

  for (; *names; names++)
    {
      const RametProjectVm *vm = ramet_project_find_vm (session->project, *names);

      if (vm == NULL)
        {
          ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "the project '%s' has no VM '%s'", session->project->name, *names);
          ramet_error_hint (error, "its VMs stand in '%s'", session->path);
          return FALSE;
        }
      if (with_before)
        mark (session->project, vm, marked);
      else
        g_hash_table_add (marked, (gpointer) vm);
    }
  for (guint i = 0; i < order->len; i++)
    {
      const RametProjectVm *vm = g_ptr_array_index (order, i);

      if (all || g_hash_table_contains (marked, vm))
        add_job (session, vm, vm->full_name);
    }
  return TRUE;
}

/* What belongs to the project by its metadata alone. */
static GPtrArray *
list_others (Session *session, GError **error)
{
  g_autoptr (GPtrArray) names
    = ramet_project_list_names (session->invocation->connection, session->project->name, NULL, TRUE, error);

  for (guint i = names ? names->len : 0; i-- > 0;)
    if (ramet_project_find_vm (session->project, g_ptr_array_index (names, i)))
      g_ptr_array_remove_index (names, i);
  return g_steal_pointer (&names);
}

static char **
child_argv (Session *session, const char *const *words)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_autofree char *program = ramet_paths_program ();

  g_strv_builder_add_many (builder, program, "-c", ramet_connection_get_uri (session->invocation->connection), NULL);
  if (ramet_talk_is_verbose ())
    g_strv_builder_add (builder, "-v");
  g_strv_builder_addv (builder, (const char **) words);
  return g_strv_builder_end (builder);
}

static void
run_jobs (Session *session, guint at_once)
{
  g_autoptr (GPtrArray) children = g_ptr_array_new ();

  for (guint i = 0; i < session->jobs->len; i++)
    g_ptr_array_add (children, ((Job *) g_ptr_array_index (session->jobs, i))->child);
  ramet_children_run (children, opt.jobs > 0 ? (guint) opt.jobs : at_once, session->invocation->cancellable);
}

static gboolean
look_at_all (Session *session, GError **error)
{
  g_autoptr (GPtrArray) findings = ramet_findings_new ();

  for (guint i = 0; i < session->jobs->len; i++)
    {
      Job *job = g_ptr_array_index (session->jobs, i);
      g_autoptr (RametTask) task = ramet_task_new (job->child->name, session->invocation->cancellable);
      GError *why = NULL;

      if (!ramet_up_look (session->invocation->connection, task, session->project, job->wanted, &job->need, job->notes, &why))
        ramet_findings_take (findings, why);
    }
  return ramet_findings_raise (findings, error);
}

/* Before anything is done about it. */
static void
print_notes (Session *session)
{
  for (guint i = 0; !session->invocation->json && !session->invocation->quiet && i < session->jobs->len; i++)
    {
      const Job *job = g_ptr_array_index (session->jobs, i);

      for (guint j = 0; j < job->notes->len; j++)
        {
          g_autofree char *safe = ramet_text_escape (g_ptr_array_index (job->notes, j), -1);

          g_print ("%s: %s\n", job->child->name, safe);
        }
    }
}

static void
prepare_up (Session *session, Job *job)
{
  g_autofree char *timeout = g_strdup_printf ("--timeout=%d", opt.timeout);
  g_autoptr (GPtrArray) words = g_ptr_array_new ();

  job->child->done = job->need == RAMET_UP_NOTHING;
  g_ptr_array_add (words, (gpointer) "up-one");
  if (opt.grant)
    g_ptr_array_add (words, (gpointer) "--grant");
  if (opt.keep)
    g_ptr_array_add (words, (gpointer) "--keep");
  if (opt.timeout != RAMET_TIMEOUT_NOT_GIVEN)
    g_ptr_array_add (words, timeout);
  g_ptr_array_add (words, session->path);
  g_ptr_array_add (words, job->wanted->name);
  g_ptr_array_add (words, NULL);
  job->child->argv = child_argv (session, (const char *const *) words->pdata);
  job->child->input = g_strdup (session->project->text);
  for (char **after = job->wanted->after; after && *after; after++)
    {
      Job *other = find_job (session, ramet_project_find_vm (session->project, *after)->full_name);

      if (other)
        g_ptr_array_add (job->child->waits_for, other->child);
    }
}

static void
tell_of_others (Session *session)
{
  g_autoptr (GPtrArray) others = list_others (session, NULL);

  for (guint i = 0; others && i < others->len; i++)
    {
      g_autoptr (RametTask) task = ramet_task_new (g_ptr_array_index (others, i), NULL);

      ramet_task_warn (task, "it belongs to the project '%s' and is not in its file: 'ramet remove %s' deletes it",
                       session->project->name, (char *) g_ptr_array_index (others, i));
    }
}

static void
print_up (Session *session)
{
  RametInvocation *invocation = session->invocation;
  guint n_done = 0;

  if (invocation->json || invocation->quiet)
    return;
  for (guint i = 0; i < session->jobs->len; i++)
    {
      const Job *job = g_ptr_array_index (session->jobs, i);
      g_autoptr (RametVm) vm = NULL;
      g_autofree char *address = NULL;

      if (job->need == RAMET_UP_NOTHING || !job->child->done)
        continue;
      n_done++;
      if (job->need == RAMET_UP_CHANGE)
        {
          g_print ("%s is changed\n", job->child->name);
          continue;
        }
      vm = ramet_vm_open (invocation->connection, job->child->name, NULL);
      address = vm ? ramet_domain_get_lease (vm->domain) : NULL;
      g_print ("%s is %s%s%s: ramet ssh %s\n", job->child->name, ramet_up_need_name (job->need), address ? ", at " : "",
               address ? address : "", job->child->name);
    }
  if (n_done == 0)
    g_print ("nothing to do: %u %s up\n", session->jobs->len, session->jobs->len == 1 ? "VM is" : "VMs are");
}

/* (transfer full): what became of each, in the order of the file */
static RametResults *
collect (Session *session)
{
  RametResults *results = ramet_results_new ();

  for (guint i = 0; i < session->project->vms->len; i++)
    {
      const RametProjectVm *vm = g_ptr_array_index (session->project->vms, i);
      Job *job = find_job (session, vm->full_name);

      if (job)
        {
          ramet_results_add (results, job->child->name, job->child->done ? ramet_up_need_name (job->need) : NULL,
                             g_steal_pointer (&job->child->error));
          ramet_results_add_notes (results, job->notes);
        }
    }
  return results;
}

static gboolean
has_failed (Session *session)
{
  for (guint i = 0; i < session->jobs->len; i++)
    if (!((Job *) g_ptr_array_index (session->jobs, i))->child->done)
      return TRUE;
  return FALSE;
}

/* In the order of the file. */
static void
print_plan_json (Session *session)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();

  json_builder_begin_array (builder);
  for (guint i = 0; i < session->project->vms->len; i++)
    {
      const RametProjectVm *vm = g_ptr_array_index (session->project->vms, i);
      const Job *job = find_job (session, vm->full_name);

      if (job == NULL)
        continue;
      json_builder_begin_object (builder);
      ramet_json_add_string (builder, "name", job->child->name);
      ramet_json_add_string (builder, "would", ramet_up_need_name (job->need));
      ramet_json_add_strings (builder, "notes", job->notes);
      json_builder_end_object (builder);
    }
  json_builder_end_array (builder);
  ramet_print_json (builder);
}

static void
print_plan (Session *session)
{
  if (session->invocation->json)
    print_plan_json (session);
  for (guint i = 0; !session->invocation->json && !session->invocation->quiet && i < session->jobs->len; i++)
    {
      const Job *job = g_ptr_array_index (session->jobs, i);
      const char *what = ramet_up_need_name (job->need);

      g_print ("%s %s%s\n", job->child->name, what ? "would be " : "is up", what ? what : "");
    }
}

gboolean
ramet_cmd_up (RametInvocation *invocation, char **args, GError **error)
{
  g_auto (Session) session = { .invocation = invocation };
  g_autoptr (RametResults) results = NULL;
  guint timeout_s = 0;

  if (!ramet_parse_timeout (opt.timeout, RAMET_DEFAULT_TIMEOUT_S, &timeout_s, error) ||
      !open_session (&session, "up", error) || !choose (&session, args, TRUE, error) || !look_at_all (&session, error))
    return FALSE;
  print_notes (&session);
  if (opt.dry_run)
    {
      print_plan (&session);
      return TRUE;
    }
  for (guint i = 0; i < session.jobs->len; i++)
    prepare_up (&session, g_ptr_array_index (session.jobs, i));
  /* a guest that boots, and a host that waits for it, are busy half of the time; memory they all need in the end anyway */
  run_jobs (&session, 2 * g_get_num_processors ());
  ramet_talk_lock ();
  if (!has_failed (&session))
    print_up (&session);
  ramet_talk_unlock ();
  tell_of_others (&session);
  results = collect (&session);
  return ramet_results_tell (results, invocation, error);
}

/* The file's text as `ramet up` has read it, whatever is in it now. */
static char *
read_input (gsize *ret_length)
{
  GString *text = g_string_new (NULL);
  char bytes[4096];
  gsize got;

  while (text->len <= RAMET_PROJECT_MAX_BYTES && (got = fread (bytes, 1, sizeof bytes, stdin)) > 0)
    g_string_append_len (text, bytes, (gssize) got);
  *ret_length = text->len;
  return g_string_free (text, FALSE);
}

gboolean
ramet_cmd_up_one (RametInvocation *invocation, char **args, GError **error)
{
  gsize length = 0;
  g_autofree char *text = read_input (&length);
  g_autofree char *folder = g_path_get_dirname (args[0]);
  g_autoptr (RametProject) project = ramet_project_parse (text, length, folder, args[0], error);
  const RametProjectVm *wanted = project ? ramet_project_find_vm (project, args[1]) : NULL;
  g_autoptr (RametTask) task = NULL;
  RametUpOptions options = { .grant = opt.grant, .keep = opt.keep, .config = invocation->config };

  if (wanted == NULL)
    {
      if (project)
        ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "the project has no VM '%s'", args[1]);
      return FALSE;
    }
  if (chdir (folder) < 0)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot go to the project's folder '%s'", folder);
      return FALSE;
    }
  task = ramet_task_new (wanted->full_name, invocation->cancellable);
  return ramet_parse_timeout (opt.timeout, RAMET_DEFAULT_TIMEOUT_S, &options.timeout_s, error) &&
         ramet_up_one (invocation->connection, task, project, wanted, &options, error);
}

static gboolean
is_off (Session *session, const char *name)
{
  g_autoptr (RametVm) vm = ramet_vm_open (session->invocation->connection, name, NULL);

  return vm == NULL || vm->run == RAMET_RUN_OFF || vm->run == RAMET_RUN_SAVED;
}

/* Those that come after others are stopped before them. */
static void
prepare_down (Session *session, Job *job)
{
  g_autofree char *timeout = g_strdup_printf ("--timeout=%d", opt.timeout);
  const char *words[] = { "stop", job->child->name, NULL, NULL, NULL };
  gsize n = 2;

  job->child->done = is_off (session, job->child->name);
  job->need = job->child->done ? RAMET_UP_NOTHING : RAMET_UP_START;
  if (opt.force)
    words[n++] = "--force";
  if (opt.timeout != RAMET_TIMEOUT_NOT_GIVEN)
    words[n++] = timeout;
  job->child->argv = child_argv (session, words);
  for (char **after = job->wanted ? job->wanted->after : NULL; after && *after; after++)
    {
      Job *before = find_job (session, ramet_project_find_vm (session->project, *after)->full_name);

      if (before)
        g_ptr_array_add (before->child->waits_for, job->child);
    }
}

static void
print_down (Session *session)
{
  guint n_stopped = 0;

  if (session->invocation->json || session->invocation->quiet)
    return;
  for (guint i = 0; i < session->jobs->len; i++)
    n_stopped += ((Job *) g_ptr_array_index (session->jobs, i))->need != RAMET_UP_NOTHING;
  if (n_stopped == 0)
    g_print ("nothing to do: no VM of '%s' runs\n", session->project->name);
}

gboolean
ramet_cmd_down (RametInvocation *invocation, char **args, GError **error)
{
  g_auto (Session) session = { .invocation = invocation };
  g_autoptr (RametResults) results = ramet_results_new ();
  g_autoptr (GPtrArray) others = NULL;
  guint timeout_s = 0;

  if (!ramet_parse_timeout (opt.timeout, RAMET_STOP_PATIENCE_S, &timeout_s, error) ||
      !open_session (&session, "down", error) || !choose (&session, args, FALSE, error))
    return FALSE;
  others = *args ? NULL : list_others (&session, error);
  if (others == NULL && *args == NULL)
    return FALSE;
  for (guint i = 0; others && i < others->len; i++)
    add_job (&session, NULL, g_ptr_array_index (others, i));
  for (guint i = 0; i < session.jobs->len; i++)
    prepare_down (&session, g_ptr_array_index (session.jobs, i));
  run_jobs (&session, G_MAXUINT);
  ramet_talk_lock ();
  print_down (&session);
  ramet_talk_unlock ();
  for (guint i = 0; i < session.jobs->len; i++)
    {
      Job *job = g_ptr_array_index (session.jobs, i);

      ramet_results_add (results, job->child->name, job->need != RAMET_UP_NOTHING && job->child->done ? "stopped" : NULL,
                         g_steal_pointer (&job->child->error));
    }
  return ramet_results_tell (results, invocation, error);
}
