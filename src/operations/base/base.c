/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/base/base.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/paths.h"
#include "core/text.h"
#include "core/undo.h"
#include "host/files/config.h"
#include "host/files/image.h"
#include "host/libvirt/storage.h"
#include "host/virtualization.h"
#include "model/base.h"
#include "model/names.h"
#include "operations/clone/bootstrap.h"
#include "operations/clone/clone.h"
#include "operations/vm/lifecycle.h"

#define POOL_FOLDER "/var/lib/libvirt/images"
#define STEP_PREFIX "step: "

/* One base being built. */
typedef struct
{
  RametConnection *connection;
  RametTask *task;
  const RametBaseOptions *options;
  RametMetadata *metadata;
  RametDomain *domain;
  char *image;    /* the file to upload */
  char *folder;   /* temporary, to be removed with the image in it; or NULL */
  char *volume;   /* name in the pool */
  char *path;     /* of the volume, or NULL while there is none */
  guint64 capacity;
} Build;

static const char *
pool_of (const Build *build)
{
  return build->options->pool ? build->options->pool : RAMET_DEFAULT_POOL;
}

static void
build_clear (Build *build)
{
  if (build->folder)
    {
      g_unlink (build->image);
      g_rmdir (build->folder);
    }
  g_clear_pointer (&build->metadata, ramet_metadata_free);
  g_clear_pointer (&build->domain, ramet_domain_unref);
  g_free (build->image);
  g_free (build->folder);
  g_free (build->volume);
  g_free (build->path);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Build, build_clear)

/* The builder, while it runs. */
typedef struct
{
  RametTask *task;
  GDataInputStream *steps; /* its stdout: "step: …" lines */
  GDataInputStream *talk;  /* its stderr */
  GString *last;           /* what it said last on stderr */
  char *hint;              /* and what to do about it, or NULL */
  GSubprocess *process;
  GCancellable *cancellable; /* of both being read */
  guint reading;             /* how many are */
  gboolean ended;
} Builder;

static void
on_step_line (GObject *stream, GAsyncResult *result, gpointer data)
{
  Builder *builder = data;
  g_autofree char *line = g_data_input_stream_read_line_finish (G_DATA_INPUT_STREAM (stream), result, NULL, NULL);

  if (line == NULL)
    {
      builder->reading--;
      return;
    }
  if (g_str_has_prefix (line, STEP_PREFIX))
    {
      g_autofree char *safe = ramet_text_escape (line + strlen (STEP_PREFIX), -1);

      ramet_task_step (builder->task, "%s", safe);
    }
  g_data_input_stream_read_line_async (builder->steps, G_PRIORITY_DEFAULT, builder->cancellable, on_step_line, builder);
}

static void
on_talk_line (GObject *stream, GAsyncResult *result, gpointer data)
{
  Builder *builder = data;
  g_autofree char *line = g_data_input_stream_read_line_finish (G_DATA_INPUT_STREAM (stream), result, NULL, NULL);
  g_autofree char *safe = NULL;

  if (line == NULL)
    {
      builder->reading--;
      return;
    }
  safe = ramet_text_escape (line, -1);
  ramet_task_log (builder->task, "%s", safe);
  ramet_task_status (builder->task, safe);
  if (g_str_has_prefix (safe, "hint: "))
    {
      g_free (builder->hint);
      builder->hint = g_strdup (safe + strlen ("hint: "));
    }
  else if (*safe)
    {
      g_string_assign (builder->last, safe);
      g_clear_pointer (&builder->hint, g_free);
    }
  g_data_input_stream_read_line_async (builder->talk, G_PRIORITY_DEFAULT, builder->cancellable, on_talk_line, builder);
}

static void
on_builder_end (GObject *process, GAsyncResult *result, gpointer data)
{
  ((Builder *) data)->ended = TRUE;
}

static void
add_option (GPtrArray *argv, const char *option, const char *value)
{
  if (value == NULL)
    return;
  g_ptr_array_add (argv, g_strdup (option));
  g_ptr_array_add (argv, g_strdup (value));
}

static GPtrArray *
builder_argv (const Build *build)
{
  const RametBaseOptions *options = build->options;
  GPtrArray *argv = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *size = options->disk_bytes ? g_strdup_printf ("%" G_GUINT64_FORMAT, options->disk_bytes) : NULL;

  g_ptr_array_add (argv, ramet_paths_data ("bootstrap/base/build-debian"));
  add_option (argv, "--suite", build->metadata->recipe->suite);
  add_option (argv, "--init", options->init);
  add_option (argv, "--mirror", options->mirror);
  add_option (argv, "--size", size);
  g_ptr_array_add (argv, g_strdup (build->image));
  g_ptr_array_add (argv, NULL);
  return argv;
}

/* A group of its own, so that what the builder calls can be ended with it. */
static void
lead_group (gpointer data)
{
  setpgid (0, 0);
}

/* The builder cleans up after itself when it is asked to end. */
static void
end_builder (Builder *builder)
{
  const char *pid = g_subprocess_get_identifier (builder->process);

  if (pid)
    kill (-atoi (pid), SIGTERM);
  while (!builder->ended)
    g_main_context_iteration (NULL, TRUE);
}

static gboolean
run_builder (Build *build, GError **error)
{
  g_autoptr (GPtrArray) argv = builder_argv (build);
  g_autoptr (GSubprocessLauncher) launcher
    = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Builder builder = { .task = build->task, .last = g_string_new (NULL), .cancellable = cancellable, .reading = 2 };
  gboolean done = FALSE;

  g_subprocess_launcher_set_child_setup (launcher, lead_group, NULL, NULL);
  builder.process = g_subprocess_launcher_spawnv (launcher, (const char *const *) argv->pdata, error);
  if (builder.process)
    {
      builder.steps = g_data_input_stream_new (g_subprocess_get_stdout_pipe (builder.process));
      builder.talk = g_data_input_stream_new (g_subprocess_get_stderr_pipe (builder.process));
      g_data_input_stream_read_line_async (builder.steps, G_PRIORITY_DEFAULT, cancellable, on_step_line, &builder);
      g_data_input_stream_read_line_async (builder.talk, G_PRIORITY_DEFAULT, cancellable, on_talk_line, &builder);
      g_subprocess_wait_async (builder.process, NULL, on_builder_end, &builder);
      while (!builder.ended && ramet_task_iterate (build->task, G_MAXINT64, "the builder", error))
        ;
      if (!builder.ended)
        end_builder (&builder);
      else
        done = g_subprocess_get_successful (builder.process);
      /* what is still in the pipes, the last words among it */
      while (g_main_context_iteration (NULL, FALSE))
        ;
      /* something that it began may hold them open still */
      g_cancellable_cancel (cancellable);
      while (builder.reading > 0)
        g_main_context_iteration (NULL, TRUE);
      if (!done && error && *error == NULL)
        {
          ramet_error_set (error, RAMET_ERROR_FAILED, "cannot build the image of '%s': %s", build->options->name,
                           builder.last->str);
          if (builder.hint)
            ramet_error_hint (error, "%s\nits log: %s", builder.hint, ramet_task_get_log (build->task));
        }
      g_clear_object (&builder.steps);
      g_clear_object (&builder.talk);
      g_clear_object (&builder.process);
    }
  g_string_free (builder.last, TRUE);
  g_free (builder.hint);
  return done;
}

static gboolean
make_image (Build *build, GError **error)
{
  g_autofree char *template = NULL;

  if (build->options->image)
    {
      build->image = g_strdup (build->options->image);
      return TRUE;
    }
  /* an image is larger than a /tmp in memory may be */
  template = g_strdup ("/var/tmp/ramet-base-XXXXXX");
  if (g_mkdtemp (template) == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot make a folder in /var/tmp: %s", g_strerror (errno));
      return FALSE;
    }
  build->folder = g_steal_pointer (&template);
  build->image = g_build_filename (build->folder, "disk.qcow2", NULL);
  return run_builder (build, error);
}

static gboolean
upload_image (Build *build, GError **error)
{
  g_autofree char *canonical = g_canonicalize_filename (build->image, NULL);
  g_autoptr (GPtrArray) chain = ramet_image_inspect (build->connection, canonical, "qcow2", error);

  if (chain == NULL)
    return FALSE;
  if (chain->len > 1)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "the image '%s' stands on another one", build->image);
      return FALSE;
    }
  build->capacity = ((RametImage *) g_ptr_array_index (chain, 0))->capacity;
  ramet_task_step (build->task, "copying the image to the pool '%s'", pool_of (build));
  build->volume = g_strconcat (build->options->name, ".qcow2", NULL);
  build->path = ramet_volume_create_from_file (build->connection, build->task, pool_of (build), build->volume, canonical,
                                               "qcow2", build->capacity, error);
  return build->path != NULL;
}

static gboolean
define (Build *build, const char *type, GError **error)
{
  g_autoptr (GPtrArray) templates = ramet_config_list (RAMET_CONFIG_TEMPLATES, "templates", error);
  const RametConfigFile *template = templates ? ramet_config_find (templates, "base-domain.xml") : NULL;
  g_autofree char *metadata = ramet_metadata_to_xml (build->metadata);
  g_autofree char *xml = NULL;
  RametBaseParameters parameters = {
    .name = build->options->name, .type = type, .disk = build->path,
    .network = build->options->network ? build->options->network : "default",
    .memory_kib = build->options->memory_bytes / 1024, .uefi = build->options->uefi, .metadata = metadata,
  };

  if (templates == NULL)
    return FALSE;
  if (template == NULL || template->text == NULL)
    {
      ramet_error_set (error, template ? RAMET_ERROR_USAGE : RAMET_ERROR_FAILED, "the template '%s' is %s",
                       template ? template->path : "base-domain.xml", template ? "empty" : "not there");
      ramet_error_hint (error, "bases are made by it: 'ramet config' shows which holds");
      return FALSE;
    }
  xml = ramet_base_domain_xml (template->text, &parameters, error);
  if (xml == NULL && template->is_own)
    g_prefix_error (error, "'%s': ", template->path);
  build->domain = xml ? ramet_domain_define (build->connection, xml, error) : NULL;
  return build->domain != NULL;
}

/* Starts a throw-away clone and waits for its root console. */
static gboolean
boot_trial (Build *build, const char *trial, GError **error)
{
  RametCloneOptions options = { .base = build->options->name, .name = trial, .pool = build->options->pool,
                                .no_bootstrap = TRUE, .timeout_s = build->options->timeout_s };
  g_autoptr (GPtrArray) extras = g_ptr_array_new ();
  g_autoptr (RametClonePlan) plan = NULL;
  g_autoptr (GError) why = NULL;
  gint64 deadline_us = g_get_monotonic_time () + (gint64) options.timeout_s * G_USEC_PER_SEC;
  RametVm *vm;
  gboolean booted;

  options.extras = extras;
  plan = ramet_clone_plan (build->connection, build->task, &options, error);
  if (plan == NULL || !ramet_clone_execute (plan, build->task, NULL, error))
    return FALSE;
  vm = ramet_clone_plan_get_vm (plan);
  ramet_task_step (build->task, "trying whether it boots");
  booted = ramet_domain_start (vm->domain, error) && ramet_bootstrap_probe (vm->domain, build->task, deadline_us, error);
  if (!ramet_lifecycle_remove (vm, build->task, NULL, &why))
    ramet_task_warn (build->task, "the trial clone '%s' stays: %s", trial, why->message);
  return booted;
}

/* A base counts as good only once a clone of it has booted: libvirt claims KVM where it cannot run. */
static gboolean
prove (Build *build, const char *type, GError **error)
{
  g_autofree char *uuid = g_uuid_string_random ();
  g_autofree char *trial = g_strdup_printf ("ramet-trial-%.8s", uuid);

  g_clear_pointer (&build->domain, ramet_domain_unref);
  build->metadata->state = RAMET_STATE_BASE;
  return define (build, type, error) && boot_trial (build, trial, error);
}

static void
take_back (Build *build)
{
  g_autoptr (GError) why = NULL;

  ramet_task_step (build->task, "taking back what was made");
  if (build->domain && !ramet_domain_undefine (build->domain, &why))
    ramet_task_warn (build->task, "%s", why->message);
  g_clear_error (&why);
  if (build->path && !ramet_volume_delete (build->connection, pool_of (build), build->volume, build->path, &why))
    ramet_task_warn (build->task, "%s", why->message);
}

static gboolean
build_and_prove (Build *build, GError **error)
{
  g_autofree char *no_kvm = NULL;
  gboolean kvm = !build->options->emulate && ramet_virtualization_has_kvm (&no_kvm);
  g_autoptr (GError) why = NULL;

  if (no_kvm)
    ramet_task_warn (build->task, "guests will be emulated, and slow: %s", no_kvm);
  if (!make_image (build, error) || !upload_image (build, error))
    return FALSE;
  ramet_metadata_add_volume (build->metadata, pool_of (build), build->volume, build->path);
  if (!kvm)
    return prove (build, "qemu", error);
  if (prove (build, "kvm", &why))
    return TRUE;
  if (g_error_matches (why, RAMET_ERROR, RAMET_ERROR_CANCELLED))
    {
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  ramet_task_warn (build->task, "it does not run under KVM (%s); trying emulation", why->message);
  if (build->domain && !ramet_domain_undefine (build->domain, error))
    return FALSE;
  return prove (build, "qemu", error);
}

/* (transfer full): what it takes to build a newer version in the same way; the suite too where it was left to us */
static RametRecipe *
recipe_of (const RametBaseOptions *options)
{
  RametRecipe *recipe = ramet_recipe_new (options->version_of ? options->version_of : options->name);

  recipe->from_image = options->image != NULL;
  recipe->emulate = options->emulate;
  if (recipe->from_image)
    return recipe;
  recipe->suite = g_strdup (options->suite ? options->suite : RAMET_DEFAULT_SUITE);
  recipe->init = g_strdup (options->init);
  recipe->mirror = g_strdup (options->mirror);
  recipe->disk_bytes = options->disk_bytes;
  return recipe;
}

static gboolean
check_before (RametConnection *connection, RametTask *task, const RametBaseOptions *options, GError **error)
{
  const char *network = options->network ? options->network : "default";
  gboolean made = FALSE;
  gboolean active = FALSE;

  if (!ramet_name_check_vm (options->name, error))
    return FALSE;
  if (ramet_domain_exists (connection, options->name))
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "there is a VM or base '%s' already", options->name);
      ramet_error_hint (error, "take another name; 'ramet list --all' shows what there is");
      return FALSE;
    }
  if (!ramet_connection_has_network (connection, network, &active) || !active)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "the network '%s' is not there or not active", network);
      ramet_error_hint (error, "'virsh net-start %s'; 'virsh net-list --all' shows what there is", network);
      return FALSE;
    }
  if (options->pool == NULL && !ramet_pool_ensure (connection, RAMET_DEFAULT_POOL, POOL_FOLDER, &made, error))
    return FALSE;
  if (made)
    ramet_task_note (task, "made the storage pool '%s' at %s", RAMET_DEFAULT_POOL, POOL_FOLDER);
  return TRUE;
}

/**
 * ramet_base_build:
 *
 * Builds an image (or takes a ready one), puts it into the pool, defines a domain for it and boots a throw-away clone.
 * Nothing is left behind on failure.
 */
gboolean
ramet_base_build (RametConnection *connection, RametTask *task, const RametBaseOptions *options, GError **error)
{
  g_auto (Build) build = { .connection = connection, .task = task, .options = options };
  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();
  g_autofree char *log = ramet_paths_log (options->name);

  if (!check_before (connection, task, options, error) || !ramet_task_open_log (task, log, error))
    return FALSE;
  build.metadata = ramet_metadata_new (RAMET_STATE_CREATING);
  build.metadata->created = g_date_time_format (now, "%Y-%m-%dT%H:%M:%SZ");
  build.metadata->console = g_strdup ("ttyS0");
  build.metadata->recipe = recipe_of (options);
  if (build_and_prove (&build, error))
    return TRUE;
  take_back (&build);
  if (error && *error && ramet_error_get_hint (*error) == NULL)
    ramet_error_hint (error, "its log: %s", log);
  return FALSE;
}

/** ramet_base_remove: a base that clones stand on is refused, and so is what is no base */
gboolean
ramet_base_remove (RametConnection *connection, RametTask *task, const char *name, GError **error)
{
  g_autoptr (RametVm) vm = ramet_vm_open_ours (connection, name, error);

  if (vm == NULL)
    return FALSE;
  if (ramet_vm_is_clone (vm) && ramet_vm_get_state (vm) != RAMET_STATE_REMOVING)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' is a VM and no base", name);
      ramet_error_hint (error, "'ramet remove %s'", name);
      return FALSE;
    }
  return ramet_lifecycle_remove (vm, task, NULL, error);
}
