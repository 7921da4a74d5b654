/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/commands.h"
#include "cli/output.h"
#include "core/error.h"
#include "core/text.h"
#include "operations/doctor/doctor.h"

#include <unistd.h>

static gboolean opt_fix;

const GOptionEntry ramet_options_doctor[] = {
  { "fix", 0, 0, G_OPTION_ARG_NONE, &opt_fix, "Mend what ramet itself left behind; nothing else is touched", NULL },
  G_OPTION_ENTRY_NULL,
};

static void
print_line (const char *label, const char *text)
{
  g_autofree char *safe = text ? ramet_text_escape (text, -1) : NULL;

  if (safe)
    g_print ("%s%s\n", label, safe);
}

static void
print_diagnosis (const RametDiagnosis *found)
{
  static const char *const colours[] = { "\033[36m", "\033[33m", "\033[31m" };
  gboolean colour = ramet_talk_colour (STDOUT_FILENO);
  g_autofree char *label = g_strdup_printf ("%s%s:%s ", colour ? colours[found->severity] : "",
                                            ramet_severity_name (found->severity), colour ? "\033[0m" : "");

  print_line (label, found->what);
  print_line ("  why:  ", found->why);
  print_line (found->mended ? "  done: " : "  type: ", found->mended ? found->mended : found->remedy);
}

static void
add_diagnosis (JsonBuilder *builder, const RametDiagnosis *found)
{
  json_builder_begin_object (builder);
  ramet_json_add_string (builder, "check", found->check);
  ramet_json_add_string (builder, "severity", ramet_severity_name (found->severity));
  ramet_json_add_string (builder, "subject", found->subject);
  ramet_json_add_string (builder, "what", found->what);
  ramet_json_add_string (builder, "why", found->why);
  ramet_json_add_string (builder, "remedy", found->remedy);
  ramet_json_add_string (builder, "mended", found->mended);
  json_builder_end_object (builder);
}

static void
print_as_json (GPtrArray *diagnoses)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();

  json_builder_begin_array (builder);
  for (guint i = 0; i < diagnoses->len; i++)
    add_diagnosis (builder, g_ptr_array_index (diagnoses, i));
  json_builder_end_array (builder);
  ramet_print_json (builder);
}

/* How many of that severity are still true. */
static guint
count (GPtrArray *diagnoses, RametSeverity severity)
{
  guint n = 0;

  for (guint i = 0; i < diagnoses->len; i++)
    {
      const RametDiagnosis *found = g_ptr_array_index (diagnoses, i);

      n += found->severity == severity && found->mended == NULL;
    }
  return n;
}

static void
print_all (GPtrArray *diagnoses, gboolean quiet)
{
  guint errors = count (diagnoses, RAMET_SEVERITY_ERROR);
  guint warnings = count (diagnoses, RAMET_SEVERITY_WARNING);
  guint notes = count (diagnoses, RAMET_SEVERITY_NOTE);

  for (guint i = 0; i < diagnoses->len; i++)
    print_diagnosis (g_ptr_array_index (diagnoses, i));
  if (quiet)
    return;
  if (diagnoses->len == 0)
    g_printerr ("nothing is wrong as far as can be seen\n");
  else
    g_printerr ("%u error%s, %u warning%s, %u note%s\n", errors, errors == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s", notes,
                notes == 1 ? "" : "s");
}

/* Connects by itself: a libvirtd that does not answer is something to diagnose. */
gboolean
ramet_cmd_doctor (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (RametTask) task = ramet_task_new ("doctor", invocation->cancellable);
  g_autoptr (GError) no_connection = NULL;
  g_autoptr (RametConnection) connection = ramet_connection_open (invocation->uri, &no_connection);
  g_autoptr (GPtrArray) diagnoses = ramet_doctor_run (connection, no_connection, task, opt_fix, error);

  if (diagnoses == NULL)
    return FALSE;
  if (invocation->json)
    print_as_json (diagnoses);
  else
    print_all (diagnoses, invocation->quiet);
  invocation->status = count (diagnoses, RAMET_SEVERITY_ERROR) > 0 ? 1 : 0;
  return TRUE;
}
