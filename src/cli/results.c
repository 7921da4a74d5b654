/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/results.h"

#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "core/error.h"
#include "core/task.h"
#include "operations/vm/vm.h"

/* Of one VM. */
typedef struct
{
  char *name;
  char *did;     /* "made", "started" …; or NULL */
  GError *error; /* or NULL: it is done */
  GPtrArray *notes; /* (element-type utf8): what else is to be known; or NULL */
} Result;

struct _RametResults
{
  GPtrArray *all; /* (element-type Result) */
};

static void
result_free (gpointer data)
{
  Result *result = data;

  g_free (result->name);
  g_free (result->did);
  g_clear_error (&result->error);
  g_clear_pointer (&result->notes, g_ptr_array_unref);
  g_free (result);
}

RametResults *
ramet_results_new (void)
{
  RametResults *results = g_new0 (RametResults, 1);

  results->all = g_ptr_array_new_with_free_func (result_free);
  return results;
}

void
ramet_results_free (RametResults *results)
{
  g_ptr_array_unref (results->all);
  g_free (results);
}

/**
 * ramet_results_add:
 * @did: (nullable): what was done, in one word
 * @error: (transfer full) (nullable): why it is not done
 */
void
ramet_results_add (RametResults *results, const char *name, const char *did, GError *error)
{
  Result *result = g_new0 (Result, 1);

  result->name = g_strdup (name);
  result->did = g_strdup (did);
  result->error = error;
  /* among several it must be clear whose error it is */
  if (error && strstr (error->message, name) == NULL)
    g_prefix_error (&result->error, "%s: ", name);
  g_ptr_array_add (results->all, result);
}

/** ramet_results_add_notes: (element-type utf8): what else is to be known, in JSON, of what was added last */
void
ramet_results_add_notes (RametResults *results, GPtrArray *notes)
{
  Result *last = g_ptr_array_index (results->all, results->all->len - 1);

  last->notes = g_ptr_array_ref (notes);
}

static void
add_state (JsonBuilder *builder, RametInvocation *invocation, const char *name)
{
  g_autoptr (RametVm) vm = invocation->connection ? ramet_vm_open (invocation->connection, name, NULL) : NULL;
  g_autofree char *address = vm && vm->run == RAMET_RUN_RUNNING ? ramet_domain_get_lease (vm->domain) : NULL;

  ramet_json_add_string (builder, "run", vm ? ramet_run_name (vm->run) : NULL);
  ramet_json_add_string (builder, "address", address);
}

static void
print_json (RametResults *results, RametInvocation *invocation)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();

  json_builder_begin_array (builder);
  for (guint i = 0; i < results->all->len; i++)
    {
      const Result *result = g_ptr_array_index (results->all, i);

      json_builder_begin_object (builder);
      ramet_json_add_string (builder, "name", result->name);
      ramet_json_add_bool (builder, "done", result->error == NULL);
      ramet_json_add_string (builder, "did", result->did);
      ramet_json_add_strings (builder, "notes", result->notes);
      add_state (builder, invocation, result->name);
      ramet_json_add_string (builder, "error", result->error ? result->error->message : NULL);
      ramet_json_add_string (builder, "hint", result->error ? ramet_error_get_hint (result->error) : NULL);
      ramet_json_add_int (builder, "status", result->error ? ramet_error_exit_status (result->error) : 0);
      json_builder_end_object (builder);
    }
  json_builder_end_array (builder);
  ramet_talk_lock ();
  ramet_print_json (builder);
  ramet_talk_unlock ();
}

/* A line for each VM, in their order. */
static void
print_lines (RametResults *results, RametInvocation *invocation)
{
  for (guint i = 0; i < results->all->len; i++)
    {
      const Result *result = g_ptr_array_index (results->all, i);

      if (result->error && !g_error_matches (result->error, RAMET_ERROR, RAMET_ERROR_CANCELLED))
        ramet_print_error (result->error);
      else if (!result->error && !invocation->quiet)
        fprintf (stderr, "%s: %s\n", result->name, result->did ? result->did : "done");
    }
}

static const GError *
find_cancelled (RametResults *results)
{
  for (guint i = 0; i < results->all->len; i++)
    {
      const Result *result = g_ptr_array_index (results->all, i);

      if (g_error_matches (result->error, RAMET_ERROR, RAMET_ERROR_CANCELLED))
        return result->error;
    }
  return NULL;
}

/**
 * ramet_results_tell:
 * @error: the only error there was, or all if nothing is done; RAMET_ERROR_CANCELLED after Ctrl-C; else RAMET_ERROR_PARTLY,
 *         and a line for each VM was printed
 *
 * With --json: an array with an object for each VM, whatever became of it.
 *
 * Returns: %TRUE if all is done
 */
gboolean
ramet_results_tell (RametResults *results, RametInvocation *invocation, GError **error)
{
  g_autoptr (GPtrArray) findings = ramet_findings_new ();
  const GError *cancelled = find_cancelled (results);

  if (invocation->json)
    print_json (results, invocation);
  for (guint i = 0; i < results->all->len; i++)
    {
      const Result *result = g_ptr_array_index (results->all, i);

      if (result->error)
        ramet_findings_take (findings, g_error_copy (result->error));
    }
  if (findings->len == 0)
    return TRUE;
  if (cancelled == NULL && findings->len == results->all->len)
    return ramet_findings_raise (findings, error);
  print_lines (results, invocation);
  if (cancelled)
    g_propagate_error (error, g_error_copy (cancelled));
  else
    ramet_error_set (error, RAMET_ERROR_PARTLY, "done for %u of %u VMs", results->all->len - findings->len,
                     results->all->len);
  return FALSE;
}
