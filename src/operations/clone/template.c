/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A template: a clone that is set up like any other, made nobody, saved, and taken apart into memory and state. */
#include "operations/clone/template.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "core/stop.h"
#include "core/text.h"
#include "host/files/memory-file.h"
#include "host/guest/agent.h"
#include "host/libvirt/folder-files.h"
#include "host/libvirt/storage.h"
#include "host/libvirt/worker.h"
#include "model/memory-arguments.h"
#include "model/template-machine.h"
#include "operations/base/drift.h"
#include "operations/clone/plan.h"
#include "operations/clone/steps.h"
#include "operations/template/store.h"
#include "operations/template/templates.h"
#include "operations/vm/lifecycle.h"

#define NAME_BASE_BYTES 40
#define FOLDER_PREFIX "template-"

/* One template being made of a clone. */
typedef struct
{
  const RametTemplateOptions *options;
  RametClonePlan *plan;
  RametDomain *domain;
  RametTask *task;
  gint64 deadline_us;
  RametTemplate *template; /* written down once it is whole */
  char *folder;      /* of this user's, for files that go to libvirtd's host, or come from there */
  char *save_path;   /* on libvirtd's host */
  char *save_copy;
  char *memory;
  char *state;
} Create;

static void
create_clear (Create *create)
{
  char *files[] = { create->save_copy, create->memory, create->state };

  for (gsize i = 0; i < G_N_ELEMENTS (files); i++)
    {
      if (files[i])
        g_unlink (files[i]);
      g_free (files[i]);
    }
  if (create->folder)
    g_rmdir (create->folder);
  g_clear_pointer (&create->template, ramet_template_free);
  g_free (create->folder);
  g_free (create->save_path);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Create, create_clear)

static gboolean
cannot (const char *what, const char *path, GError **error)
{
  int why = errno;

  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot %s '%s': %s", what, path, g_strerror (why));
  if (why == ENOSPC)
    ramet_error_hint (error, "make room there; XDG_CACHE_HOME may name another place");
  return FALSE;
}

static void
name_files (Create *create)
{
  create->save_copy = g_build_filename (create->folder, "save", NULL);
  create->memory = g_build_filename (create->folder, "memory", NULL);
  create->state = g_build_filename (create->folder, "state", NULL);
}

/* What one that was killed has left, which may be as large as a guest's memory. */
static void
sweep (const char *parent)
{
  g_autoptr (GDir) dir = g_dir_open (parent, 0, NULL);
  const char *entry;

  while (dir && (entry = g_dir_read_name (dir)) != NULL)
    {
      g_auto (Create) left = { 0 };

      if (!g_str_has_prefix (entry, FOLDER_PREFIX) ||
          ramet_worker_look (entry + strlen (FOLDER_PREFIX)) != RAMET_WORKER_GONE)
        continue;
      left.folder = g_build_filename (parent, entry, NULL);
      name_files (&left);
    }
}

static gboolean
make_folder (Create *create, GError **error)
{
  g_autofree char *parent = g_build_filename (g_get_user_cache_dir (), "ramet", NULL);
  g_autofree char *worker = ramet_worker_self ();
  g_autofree char *name = g_strconcat (FOLDER_PREFIX, worker ? worker : "0", NULL);

  sweep (parent);
  create->folder = g_build_filename (parent, name, NULL);
  if (g_mkdir_with_parents (parent, 0700) < 0 || g_mkdir (create->folder, 0700) < 0)
    {
      cannot ("make", create->folder, error);
      g_clear_pointer (&create->folder, g_free);
      return FALSE;
    }
  name_files (create);
  return TRUE;
}

/* What it printed goes to the log, what stands in the way into @error. */
static gboolean
quiet (Create *create, GError **error)
{
  static const char *const argv[] = { "/bin/sh", "-s", NULL };
  g_autofree char *script = ramet_steps_read_data ("bootstrap/guest/template/quiet.sh", error);
  g_autofree char *user = g_shell_quote (create->plan->user);
  g_auto (RametAgentOutcome) outcome = { 0 };
  g_autofree char *input = NULL;
  g_autofree char *printed = NULL;

  ramet_task_step (create->task, "making it nobody, and quiet");
  if (script == NULL || !ramet_domain_set_links (create->domain, FALSE, error))
    return FALSE;
  input = g_strdup_printf ("export RAMET_USER=%s\n%s", user, script);
  if (!ramet_agent_run (create->domain, create->task, argv, input, create->deadline_us, &outcome, error))
    return FALSE;
  printed = ramet_text_escape (g_strstrip (outcome.status ? outcome.errors : outcome.output), -1);
  if (*printed)
    ramet_task_log (create->task, "%s", printed);
  if (outcome.status == 0)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_REFUSED, "no template can be made of such a guest: %s",
                   *printed ? printed : "it could not be made quiet");
  return FALSE;
}

/* Written down before it is made, so that it goes with the VM whatever comes in between. */
static gboolean
foresee_file (Create *create, const char *path, GError **error)
{
  g_autofree char *name = g_path_get_basename (path);

  ramet_metadata_add_volume (create->plan->metadata, "", name, path);
  return ramet_domain_set_metadata (create->domain, create->plan->metadata, error);
}

static gboolean
save (Create *create, GError **error)
{
  create->save_path = ramet_template_store_path (ramet_domain_get_name (create->domain), "save");
  ramet_task_step (create->task, "saving its memory");
  if (!foresee_file (create, create->save_path, error) ||
      !ramet_domain_save_to (create->domain, create->save_path, error))
    return FALSE;
  RAMET_STEP ("template-saved");
  return ramet_task_check (create->task, error);
}

static gboolean
fetch (Create *create, GError **error)
{
  RametConnection *connection = create->plan->connection;
  int fd = open (create->save_copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  gboolean done;

  if (fd < 0)
    return cannot ("make", create->save_copy, error);
  done = ramet_folder_get (connection, create->task, create->save_path, 0, fd, error);
  if (close (fd) < 0 && done)
    return cannot ("write", create->save_copy, error);
  return done;
}

static gboolean
write_head (int fd, const RametSaveImage *image, const char *path, GError **error)
{
  g_autoptr (GBytes) head = ramet_save_image_build (image, image->xml);
  gsize length;
  const void *bytes = g_bytes_get_data (head, &length);

  return write (fd, bytes, length) == (gssize) length || cannot ("write", path, error);
}

static gboolean
split_from (Create *create, int save_fd, int state_fd, GError **error)
{
  goffset stream_at = 0;
  g_autoptr (RametSaveImage) head = ramet_memory_read_head (save_fd, create->save_copy, &stream_at, error);
  g_autoptr (RametSaveImage) again = NULL;
  RametMemorySplit split = { .save_fd = save_fd, .save_name = create->save_copy, .memory_path = create->memory,
                             .state_fd = state_fd, .state_name = create->state };

  if (head == NULL || !ramet_template_read_machine (create->template, head->xml, error) ||
      !write_head (state_fd, head, create->state, error))
    return FALSE;
  split.ram = (RametMigrationRam){ create->template->ram_block, create->template->memory_kib * 1024, RAMET_MEMORY_BLOCK };
  again = ramet_memory_split (create->task, &split, error);
  return again != NULL;
}

static gboolean
split (Create *create, GError **error)
{
  int save_fd = open (create->save_copy, O_RDONLY | O_CLOEXEC);
  int state_fd = open (create->state, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  gboolean done = FALSE;

  ramet_task_step (create->task, "splitting memory and state");
  if (save_fd < 0 || state_fd < 0)
    cannot ("open", save_fd < 0 ? create->save_copy : create->state, error);
  else
    done = split_from (create, save_fd, state_fd, error);
  if (save_fd >= 0)
    close (save_fd);
  if (state_fd >= 0)
    close (state_fd);
  g_unlink (create->save_copy);
  return done;
}

static gboolean
hash_file (Create *create, const char *path, RametTemplateFile *file, GError **error)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);

  if (fd < 0)
    return cannot ("open", path, error);
  file->sha256 = ramet_memory_hash (create->task, fd, path, error);
  close (fd);
  return file->sha256 != NULL;
}

/* A file of ours goes to where libvirtd and QEMU find it, named by what both hold. */
static gboolean
put (Create *create, const char *local, const char *what, gboolean for_qemu, RametTemplateFile *file, GError **error)
{
  g_autofree char *path = ramet_template_store_path (create->template->content, what);
  int fd;
  gboolean done;

  if (!foresee_file (create, path, error))
    return FALSE;
  fd = open (local, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return cannot ("open", local, error);
  done = ramet_template_store_put (create->plan->connection, create->task, path, fd, for_qemu, error);
  close (fd);
  if (!done)
    return FALSE;
  file->print = ramet_template_store_look (what, path);
  if (file->print == NULL)
    return cannot ("find", path, error);
  RAMET_STEP ("template-file");
  return TRUE;
}

static gboolean
put_all (Create *create, GError **error)
{
  RametTemplate *template = create->template;

  ramet_task_step (create->task, "putting them in place");
  if (!hash_file (create, create->memory, &template->memory, error) ||
      !hash_file (create, create->state, &template->state, error))
    return FALSE;
  template->content = ramet_template_content (template->memory.sha256, template->state.sha256);
  return put (create, create->memory, "memory", TRUE, &template->memory, error) &&
         put (create, create->state, "state", FALSE, &template->state, error);
}

static gboolean
drop_save (Create *create, GError **error)
{
  RametMetadata *metadata = create->plan->metadata;
  RametVolumeRef *volume = ramet_metadata_find_volume (metadata, create->save_path);

  if (!ramet_volume_delete (create->plan->connection, "", volume->name, volume->path, error))
    return FALSE;
  g_ptr_array_remove (metadata->volumes, volume);
  return TRUE;
}

/* What its clones stand on from now on. */
static gboolean
remember_disks (Create *create, GError **error)
{
  RametClonePlan *plan = create->plan;

  for (guint i = 0; i < plan->identity->overlays->len; i++)
    {
      const RametOverlay *overlay = g_ptr_array_index (plan->identity->overlays, i);
      g_autoptr (RametImage) image = ramet_image_look (plan->connection, overlay->overlay, "qcow2", error);
      RametFingerprint *print;

      if (image == NULL)
        return FALSE;
      print = ramet_fingerprint_new (overlay->target, image->path, image->format);
      ramet_drift_fill (print, image);
      g_ptr_array_add (create->template->disks, print);
    }
  return TRUE;
}

static gboolean
remember_all (Create *create, GError **error)
{
  RametTemplate *template = create->template;
  GPtrArray *packages = create->options->packages;

  template->definition = ramet_template_definition_digest (create->plan->base_xml, error);
  if (template->definition == NULL || !ramet_template_fill_host (template, create->plan->connection, error) ||
      !remember_disks (create, error))
    return FALSE;
  template->uid = create->plan->uid;
  template->ssh_keys = ramet_template_keys_digest (create->plan->ssh_keys);
  template->steps = ramet_steps_digest (create->plan->steps);
  for (guint i = 0; packages && i < packages->len; i++)
    g_ptr_array_add (template->packages, g_strdup (((RametExtra *) g_ptr_array_index (packages, i))->package));
  return TRUE;
}

static gboolean
on_set_up (RametClonePlan *plan, RametDomain *domain, RametTask *task, gint64 deadline_us, gpointer data, GError **error)
{
  g_auto (Create) create = { .options = data, .plan = plan, .domain = domain, .task = task, .deadline_us = deadline_us };

  create.template = ramet_template_new ();
  if (make_folder (&create, error) && quiet (&create, error) && save (&create, error) && fetch (&create, error) &&
      split (&create, error) && put_all (&create, error) && drop_save (&create, error) && remember_all (&create, error))
    plan->metadata->template = g_steal_pointer (&create.template);
  return plan->metadata->template != NULL;
}

/* (transfer full): what a VM can be called, and tells of what it is */
static char *
make_name (const char *base)
{
  g_autofree char *start = g_ascii_strdown (base, -1);
  static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
  char end[5] = "";

  if (strlen (start) > NAME_BASE_BYTES)
    start[NAME_BASE_BYTES] = '\0';
  g_strcanon (start, "abcdefghijklmnopqrstuvwxyz0123456789-", '-');
  for (gsize i = 0; i < sizeof end - 1; i++)
    end[i] = letters[g_random_int_range (0, (gint32) strlen (letters))];
  return g_strdup_printf ("%s-template-%s", start, end);
}

/* Nobody trusts it before a clone has gone on from it, been reached by its name, and gone again. */
static gboolean
try_it (RametConnection *connection, RametTask *task, const RametTemplateOptions *options, const char *name, GError **error)
{
  g_autofree char *trial = g_strdup_printf ("%s-trial", name);
  RametCloneOptions clone = {
    .base = options->base, .name = trial, .ssh_keys = options->ssh_keys, .ssh_keys_from = options->ssh_keys_from,
    .extras = options->packages, .user = options->user, .pool = options->pool, .vcpus = options->vcpus, .memory_bytes = options->memory_bytes, .timeout_s = options->timeout_s,
    .from = RAMET_CLONE_TEMPLATE, .only_template = name,
  };
  g_autofree char *address = NULL;
  g_autoptr (RametClonePlan) plan = ramet_clone_make (connection, task, &clone, &address, error);
  RametVm *vm = plan ? ramet_clone_plan_get_vm (plan) : NULL;

  return vm && ramet_lifecycle_remove (vm, task, NULL, error);
}

static gboolean
try_or_remove (RametConnection *connection, RametTask *task, const RametTemplateOptions *options, const char *name,
               GError **error)
{
  g_autoptr (RametVm) vm = NULL;
  g_autoptr (GError) why = NULL;

  if (try_it (connection, task, options, name, error))
    return TRUE;
  g_prefix_error (error, "a clone that went on from the new template failed: ");
  vm = ramet_vm_open (connection, name, &why);
  if (vm == NULL || !ramet_template_remove (vm, task, &why))
    {
      ramet_task_warn (task, "%s", why->message);
      ramet_error_hint (error, "'ramet template remove %s' takes away what is left", name);
    }
  return FALSE;
}

/**
 * ramet_template_create:
 * @ret_name: (out): of the VM that owns the template
 * @error: RAMET_ERROR_REFUSED if clones cannot go on from such a VM's memory
 */
gboolean
ramet_template_create (RametConnection *connection, RametTask *task, const RametTemplateOptions *options, char **ret_name,
                       GError **error)
{
  g_autofree char *name = make_name (options->base);
  g_autofree char *address = NULL;
  RametCloneMakes makes = { options->n_slots, on_set_up, (gpointer) options };
  RametCloneOptions clone = {
    .base = options->base, .name = name, .ssh_keys = options->ssh_keys, .ssh_keys_from = options->ssh_keys_from,
    .extras = options->packages, .user = options->user, .pool = options->pool, .vcpus = options->vcpus, .memory_bytes = options->memory_bytes, .timeout_s = options->timeout_s,
    .no_wait = TRUE, .from = RAMET_CLONE_COLD, .makes = &makes,
  };
  g_autoptr (RametClonePlan) plan = NULL;

  if (!ramet_connection_is_local (connection))
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "templates are made on the host that libvirtd runs on");
      return FALSE;
    }
  if (!ramet_template_store_ensure (connection, error))
    return FALSE;
  plan = ramet_clone_plan (connection, task, &clone, error);
  if (plan == NULL || !ramet_clone_execute (plan, task, &address, error) ||
      !try_or_remove (connection, task, options, name, error))
    return FALSE;
  *ret_name = g_steal_pointer (&name);
  return TRUE;
}
