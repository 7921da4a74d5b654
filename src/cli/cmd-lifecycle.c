/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/commands.h"
#include "cli/names.h"
#include "cli/output.h"
#include "core/error.h"
#include "operations/vm/lifecycle.h"
#include "operations/vm/reach.h"

#define WAIT_PATIENCE_S 120

static gboolean opt_force;
static gboolean opt_despite_drift;
static gboolean opt_yes;
static gboolean opt_off;
static int opt_timeout = RAMET_TIMEOUT_NOT_GIVEN;

const GOptionEntry ramet_options_start[] = {
  { "force", 'f', 0, G_OPTION_ARG_NONE, &opt_despite_drift, "Start although the base has changed since the VM was cloned", NULL },
  G_OPTION_ENTRY_NULL,
};

const GOptionEntry ramet_options_stop[] = {
  { "force", 'f', 0, G_OPTION_ARG_NONE, &opt_force, "Pull the plug rather than ask the guest; drop memory that was saved", NULL },
  { "timeout", 0, 0, G_OPTION_ARG_INT, &opt_timeout, "How long to wait for a guest, in seconds; else 120", "SECONDS" },
  G_OPTION_ENTRY_NULL,
};

const GOptionEntry ramet_options_remove[] = {
  { "yes", 'y', 0, G_OPTION_ARG_NONE, &opt_yes, "Do not ask", NULL },
  G_OPTION_ENTRY_NULL,
};

const GOptionEntry ramet_options_autostart[] = {
  { "off", 0, 0, G_OPTION_ARG_NONE, &opt_off, "Do not start them with the host any more", NULL },
  G_OPTION_ENTRY_NULL,
};

const GOptionEntry ramet_options_wait[] = {
  { "timeout", 0, 0, G_OPTION_ARG_INT, &opt_timeout, "How long to wait, in seconds; else 120", "SECONDS" },
  G_OPTION_ENTRY_NULL,
};

/* What is done with each VM, and how. */
typedef struct
{
  RametLifecycleFunc func;
  RametLifecycleOptions options;
} Verb;

static gboolean
call_lifecycle (RametVm *vm, RametTask *task, gpointer data, GError **error)
{
  const Verb *verb = data;

  return verb->func (vm, task, &verb->options, error);
}

static gboolean
each_lifecycle (RametInvocation *invocation, char **names, RametNamesOrder order, RametLifecycleFunc func,
                GError **error)
{
  Verb verb = { func, { .force = opt_force, .despite_drift = opt_despite_drift } };

  return ramet_parse_timeout (opt_timeout, RAMET_STOP_PATIENCE_S, &verb.options.timeout_s, error) &&
         ramet_each_vm (invocation, names, order, call_lifecycle, &verb, error);
}

gboolean
ramet_cmd_start (RametInvocation *invocation, char **args, GError **error)
{
  return each_lifecycle (invocation, args, RAMET_NAMES_FIRST_FIRST, ramet_lifecycle_start, error);
}

gboolean
ramet_cmd_stop (RametInvocation *invocation, char **args, GError **error)
{
  return each_lifecycle (invocation, args, RAMET_NAMES_LAST_FIRST, ramet_lifecycle_stop, error);
}

gboolean
ramet_cmd_restart (RametInvocation *invocation, char **args, GError **error)
{
  return each_lifecycle (invocation, args, RAMET_NAMES_FIRST_FIRST, ramet_lifecycle_restart, error);
}

static gboolean
set_autostart (RametVm *vm, RametTask *task, gpointer data, GError **error)
{
  return ramet_domain_set_autostart (vm->domain, !opt_off, error);
}

gboolean
ramet_cmd_autostart (RametInvocation *invocation, char **args, GError **error)
{
  return ramet_each_vm (invocation, args, RAMET_NAMES_AS_WRITTEN, set_autostart, NULL, error);
}

typedef struct
{
  guint patience_s; /* for each VM */
  gboolean silent;
} Wait;

static gboolean
wait_for_one (RametVm *vm, RametTask *task, gpointer data, GError **error)
{
  const Wait *wait = data;
  gint64 patience_s = wait->patience_s;
  g_autofree char *address = NULL;
  RametReachBy by;

  if (!ramet_reach_wait (vm, task, g_get_monotonic_time () + patience_s * G_USEC_PER_SEC, &address, &by, error))
    return FALSE;
  if (!wait->silent)
    g_print ("%s.local\t%s\t%s\n", ramet_vm_get_name (vm), address, by == RAMET_REACH_MDNS ? "mdns" : "lease");
  return TRUE;
}

gboolean
ramet_cmd_wait (RametInvocation *invocation, char **args, GError **error)
{
  Wait wait = { .silent = invocation->json };

  return ramet_parse_timeout (opt_timeout, WAIT_PATIENCE_S, &wait.patience_s, error) &&
         ramet_each_vm (invocation, args, RAMET_NAMES_AS_WRITTEN, wait_for_one, &wait, error);
}

static gboolean
remove_one (RametVm *vm, RametTask *task, gpointer data, GError **error)
{
  if (ramet_vm_is_clone (vm))
    return ramet_lifecycle_remove (vm, task, NULL, error);
  ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' is a %s", ramet_vm_get_name (vm),
                   ramet_state_name (ramet_vm_get_state (vm)));
  ramet_error_hint (error, "'ramet %s remove %s'", ramet_state_name (ramet_vm_get_state (vm)), ramet_vm_get_name (vm));
  return FALSE;
}

gboolean
ramet_cmd_remove (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (GPtrArray) names = ramet_expand_names (invocation, args, RAMET_NAMES_LAST_FIRST, error);

  if (names == NULL)
    return FALSE;
  /* whoever mistypes a name should learn it before the question */
  for (guint i = names->len; i-- > 0;)
    {
      const char *name = g_ptr_array_index (names, i);
      g_autoptr (RametVm) vm = ramet_vm_open_ours (invocation->connection, name, error);

      if (vm == NULL && names->len == 1)
        return FALSE;
      /* a VM of a project that was never made is no failure to remove it */
      if (vm == NULL && g_error_matches (*error, RAMET_ERROR, RAMET_ERROR_NOT_FOUND) &&
          !g_strv_contains ((const char *const *) args, name))
        g_ptr_array_remove_index (names, i);
      g_clear_error (error);
    }
  g_ptr_array_add (names, NULL);
  return ramet_confirm_removal ((char **) names->pdata, opt_yes, error) &&
         ramet_each_vm (invocation, (char **) names->pdata, RAMET_NAMES_AS_WRITTEN, remove_one, NULL, error);
}
