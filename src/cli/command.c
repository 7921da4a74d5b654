/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/command.h"

#include <string.h>

#include "cli/commands.h"
#include "core/error.h"
#include "core/text.h"
#include "model/hardware.h"
#include "model/names.h"

#define CONNECTS RAMET_COMMAND_CONNECTS
#define JSON RAMET_COMMAND_JSON
#define PROJECT RAMET_COMMAND_PROJECT
#define PROJECTS "A project's VMs"
#define MAKING "Making VMs"
#define USING "Getting in"
#define LOOKING "Looking"
#define SHARES "Shared folders"
#define LIFECYCLE "Lifecycle"
#define SNAPSHOTS "Snapshots"
#define BASES "Bases"

const RametCommand ramet_commands[] = {
  { "clone", "[BASE|NAME@SNAPSHOT] NEW", MAKING, "Make a new VM from a base or a VM's snapshot, ready to ssh into",
    CONNECTS | JSON, 1, 2, ramet_options_clone, ramet_cmd_clone },
  { "fork", "NAME NEW", MAKING, "Make a new VM of one that runs, which goes on where that is, as somebody else", CONNECTS, 2, 2,
    ramet_options_fork, ramet_cmd_fork },
  { "remove", "NAME…", MAKING, "Delete VMs and all that ramet made for them", CONNECTS | JSON, 1, -1, ramet_options_remove,
    ramet_cmd_remove },
  { "set", "NAME…", MAKING, "Give VMs other CPUs, memory, shares, or a larger disk", CONNECTS | JSON, 1, -1,
    ramet_options_set, ramet_cmd_set },
  { "rebase", "NAME…", MAKING, "Let clones follow a base that was moved or renamed", CONNECTS | JSON, 1, -1,
    ramet_options_rebase, ramet_cmd_rebase },
  { "flatten", "NAME…", MAKING, "Let clones stand alone, with a copy of all that is their base's", CONNECTS | JSON, 1, -1,
    ramet_options_flatten, ramet_cmd_flatten },

  { "init", "[NEW]", PROJECTS, "Write a first project file, 'ramet.ini', into this folder", 0, 0, 1, NULL, ramet_cmd_init },
  { "up", "[VM…]", PROJECTS, "Make and start the VMs of this folder's project", CONNECTS | JSON, 0, -1, ramet_options_up,
    ramet_cmd_up },
  { "up-one", "FILE VM", PROJECTS, "Make or start one VM of a project", CONNECTS | RAMET_COMMAND_HIDDEN, 2, 2,
    ramet_options_up_one, ramet_cmd_up_one },
  { "down", "[VM…]", PROJECTS, "Stop the VMs of this folder's project", CONNECTS | JSON, 0, -1, ramet_options_down,
    ramet_cmd_down },

  { "ssh", "[NAME] [-- COMMAND…]", USING, "Open a shell in a VM, or run one command there",
    CONNECTS | PROJECT | RAMET_COMMAND_POSIX, 0, -1, ramet_options_ssh, ramet_cmd_ssh },
  { "ssh-config", "", USING, "Print what ~/.ssh/config needs for ssh, scp, rsync and editors", CONNECTS, 0, 0, NULL,
    ramet_cmd_ssh_config },
  { "ssh-known-host", "HOST", USING, "Print a VM's host keys for ssh", CONNECTS | RAMET_COMMAND_HIDDEN, 1, 1,
    ramet_options_ssh_known_host, ramet_cmd_ssh_known_host },
  { "ssh-proxy", "HOST", USING, "Connect ssh to a VM", CONNECTS | RAMET_COMMAND_HIDDEN, 1, 1, NULL,
    ramet_cmd_ssh_proxy },
  { "wait", "[NAME…]", USING, "Wait until VMs answer ssh by name", CONNECTS | JSON | PROJECT, 0, -1, ramet_options_wait,
    ramet_cmd_wait },
  { "console", "NAME", USING, "Open a VM's serial console", CONNECTS, 1, 1, NULL, ramet_cmd_console },

  { "list", "[@PROJECT]", LOOKING, "List VMs with state, address and size", CONNECTS | JSON, 0, 1, ramet_options_list,
    ramet_cmd_list },
  { "info", "[NAME…]", LOOKING, "Show all there is to know of a VM", CONNECTS | JSON | PROJECT, 0, -1, NULL, ramet_cmd_info },
  { "log", "NAME", LOOKING, "Print how a VM was set up, and what came over its serial console since", CONNECTS, 1, 1,
    ramet_options_log, ramet_cmd_log },
  { "tree", "", LOOKING, "Show who was cloned from whom, and what it costs on disk", CONNECTS | JSON, 0, 0,
    ramet_options_tree, ramet_cmd_tree },
  { "config", "", LOOKING, "Show which settings, first-boot steps and templates hold, and from which file", JSON, 0, 0, NULL,
    ramet_cmd_config },
  { "doctor", "", LOOKING, "Find what is wrong and what to type; exits 1 if errors are left", JSON, 0, 0,
    ramet_options_doctor, ramet_cmd_doctor },

  { "start", "[NAME…]", LIFECYCLE, "Start VMs", CONNECTS | JSON | PROJECT, 0, -1, ramet_options_start, ramet_cmd_start },
  { "stop", "[NAME…]", LIFECYCLE, "Ask VMs to shut down, and wait until they have", CONNECTS | JSON | PROJECT, 0, -1,
    ramet_options_stop, ramet_cmd_stop },
  { "restart", "[NAME…]", LIFECYCLE, "Stop and start VMs", CONNECTS | JSON | PROJECT, 0, -1, ramet_options_stop, ramet_cmd_restart },
  { "pause", "[NAME…]", LIFECYCLE, "Freeze VMs where they stand, all at the same time", CONNECTS | JSON | PROJECT,
    0, -1, ramet_options_pause, ramet_cmd_pause },
  { "resume", "[NAME…]", LIFECYCLE, "Let frozen VMs go on, their clocks set right", CONNECTS | JSON | PROJECT, 0, -1, NULL,
    ramet_cmd_resume },
  { "autostart", "NAME…", LIFECYCLE, "Start VMs with the host", CONNECTS | JSON, 1, -1, ramet_options_autostart,
    ramet_cmd_autostart },

  { "diff", "NAME [PATH…]", SHARES, "Show what a guest changed above a shared folder, as git does", CONNECTS, 1, -1,
    ramet_options_diff, ramet_cmd_diff },
  { "apply", "NAME [PATH…]", SHARES, "Take a guest's changes over into the shared folder", CONNECTS, 1, -1,
    ramet_options_apply, ramet_cmd_apply },
  { "discard", "NAME [PATH…]", SHARES, "Drop a guest's changes above a shared folder", CONNECTS, 1, -1,
    ramet_options_discard, ramet_cmd_discard },
  { "sync", "NAME", SHARES, "Make a guest see what changed in a shared folder", CONNECTS, 1, 1, ramet_options_sync,
    ramet_cmd_sync },
  { "snapshot create", "[NEW | NAME[@NEW]… | @PROJECT[@NEW]]", SNAPSHOTS, "Freeze VMs as they are, together, with their memory",
    CONNECTS | JSON, 0, -1, ramet_options_snapshot_create, ramet_cmd_snapshot_create },
  { "snapshot list", "[NAME… | @PROJECT]", SNAPSHOTS, "List snapshots, and what was done to them on the side", CONNECTS | JSON, 0, -1,
    NULL, ramet_cmd_snapshot_list },
  { "snapshot revert", "SNAPSHOT | NAME@SNAPSHOT… | @PROJECT@SNAPSHOT", SNAPSHOTS, "Bring VMs back to a snapshot; what came since is lost",
    CONNECTS | JSON, 1, -1, NULL, ramet_cmd_snapshot_revert },
  { "snapshot delete", "SNAPSHOT | NAME@SNAPSHOT… | @PROJECT@SNAPSHOT", SNAPSHOTS, "Delete a snapshot and free its space; the VMs stay as they are",
    CONNECTS | JSON, 1, -1, NULL, ramet_cmd_snapshot_delete },

  { "base build", "[NEW]", BASES, "Build a Debian base, and try whether it boots", CONNECTS, 0, 1,
    ramet_options_base_build, ramet_cmd_base_build },
  { "base update", "BASE", BASES, "Build a newer version of a base beside it", CONNECTS, 1, 1,
    ramet_options_base_update, ramet_cmd_base_update },
  { "base list", "", BASES, "List bases and who stands on them", CONNECTS | JSON, 0, 0, NULL, ramet_cmd_base_list },
  { "base remove", "BASE", BASES, "Delete a base that no VM stands on", CONNECTS, 1, 1,
    ramet_options_base_remove, ramet_cmd_base_remove },
  { "template create", "[BASE]", BASES, "Boot a clone once and save its memory, for others to go on from", CONNECTS, 0, 1,
    ramet_options_template_create, ramet_cmd_template_create },
  { "template list", "", BASES, "List templates, what each costs, and why one is not used", CONNECTS | JSON, 0, 0, NULL,
    ramet_cmd_template_list },
  { "template remove", "TEMPLATE", BASES, "Delete a template that no VM needs", CONNECTS, 1, 1, ramet_options_template_remove,
    ramet_cmd_template_remove },

  { "complete", "[-- WORD…]", LOOKING, "Print what a shell can complete a command line with",
    RAMET_COMMAND_HIDDEN | RAMET_COMMAND_POSIX | RAMET_COMMAND_TOLERANT, 0, -1, NULL, ramet_cmd_complete },
};

const gsize ramet_n_commands = G_N_ELEMENTS (ramet_commands);

RametGlobal ramet_global;

const GOptionEntry ramet_options_global[] = {
  { "connect", 'c', 0, G_OPTION_ARG_STRING, &ramet_global.uri,
    "libvirt to talk to; else LIBVIRT_DEFAULT_URI, else qemu:///system", "URI" },
  { "quiet", 'q', 0, G_OPTION_ARG_NONE, &ramet_global.quiet, "Say nothing but errors", NULL },
  { "verbose", 'v', 0, G_OPTION_ARG_NONE, &ramet_global.verbose, "Say more", NULL },
  { "json", 0, 0, G_OPTION_ARG_NONE, &ramet_global.json, "Print data as JSON, where a command prints data", NULL },
  G_OPTION_ENTRY_NULL,
};

const GOptionEntry ramet_options_first[] = {
  { "version", 0, 0, G_OPTION_ARG_NONE, &ramet_global.version, "Print the version", NULL },
  { "help", 'h', 0, G_OPTION_ARG_NONE, &ramet_global.help, "This, or with a command its own help", NULL },
  G_OPTION_ENTRY_NULL,
};

/** ramet_parse_timeout: @given is the value of a --timeout, in seconds, or RAMET_TIMEOUT_NOT_GIVEN */
gboolean
ramet_parse_timeout (int given, guint default_s, guint *ret_timeout_s, GError **error)
{
  if (given <= 0 && given != RAMET_TIMEOUT_NOT_GIVEN)
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "--timeout takes a number of seconds above 0, not %d", given);
      ramet_error_hint (error, "leave it out to wait for %u", default_s);
      return FALSE;
    }
  *ret_timeout_s = given > 0 ? (guint) given : default_s;
  return TRUE;
}

/** ramet_parse_cpus: @text is the value of a --cpus, or %NULL: then nothing is written */
gboolean
ramet_parse_cpus (const char *text, guint *ret_cpus, GError **error)
{
  return text == NULL || ramet_hardware_parse_cpus ("--cpus", text, ret_cpus, error);
}

/** ramet_parse_memory: @text is the value of a --memory, or %NULL: then nothing is written */
gboolean
ramet_parse_memory (const char *text, guint64 *ret_bytes, GError **error)
{
  if (text == NULL || ramet_hardware_parse_memory (text, ret_bytes, error))
    return TRUE;
  g_prefix_error (error, "--memory: ");
  return FALSE;
}

/** ramet_parse_disk_size: @text is the value of @option, like "--disk-size", or %NULL: then nothing is written */
gboolean
ramet_parse_disk_size (const char *option, const char *text, guint64 *ret_bytes, GError **error)
{
  if (text == NULL || ramet_name_parse_size (text, 1024 * 1024 * 1024, ret_bytes, error))
    return TRUE;
  g_prefix_error (error, "%s: ", option);
  return FALSE;
}

/**
 * ramet_command_find:
 * @words: what was typed behind the global options, %NULL-terminated
 * @ret_n_words: (out): how many words the command's name has
 *
 * Returns: (transfer none) (nullable)
 */
const RametCommand *
ramet_command_find (char **words, int *ret_n_words)
{
  g_autofree char *two = words[0] && words[1] ? g_strconcat (words[0], " ", words[1], NULL) : NULL;

  for (gsize i = 0; i < ramet_n_commands; i++)
    {
      const char *name = ramet_commands[i].name;
      gboolean is_two = strchr (name, ' ') != NULL;

      if (g_strcmp0 (name, is_two ? two : words[0]) == 0)
        {
          *ret_n_words = is_two ? 2 : 1;
          return &ramet_commands[i];
        }
    }
  return NULL;
}

/** ramet_command_second_words: (transfer full): of the commands whose first word is @first: "create, list", or empty */
char *
ramet_command_second_words (const char *first)
{
  g_autoptr (GString) words = g_string_new (NULL);

  for (gsize i = 0; i < ramet_n_commands; i++)
    {
      const char *name = ramet_commands[i].name;
      const char *blank = strchr (name, ' ');

      if (blank && strlen (first) == (gsize) (blank - name) && g_str_has_prefix (name, first))
        g_string_append_printf (words, "%s%s", words->len ? ", " : "", blank + 1);
    }
  return g_string_free (g_steal_pointer (&words), FALSE);
}

/* (transfer none) (nullable): the command's first word that looks most like what was typed */
static const char *
nearest_word (const char *typed)
{
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);
  const char *nearest;

  for (gsize i = 0; i < ramet_n_commands; i++)
    if (!(ramet_commands[i].flags & RAMET_COMMAND_HIDDEN))
      g_ptr_array_add (words, g_strndup (ramet_commands[i].name, strcspn (ramet_commands[i].name, " ")));
  g_ptr_array_add (words, NULL);
  nearest = ramet_text_nearest (typed, (const char *const *) words->pdata);
  return nearest ? g_intern_string (nearest) : NULL;
}

/** ramet_command_set_unknown: sets @error to say that no command is meant by @words, and what may be */
void
ramet_command_set_unknown (char **words, GError **error)
{
  g_autofree char *seconds = words[0] ? ramet_command_second_words (words[0]) : NULL;
  const char *nearest;

  if (words[0] == NULL)
    ramet_error_set (error, RAMET_ERROR_USAGE, "no command given");
  else if (*seconds && words[1])
    ramet_error_set (error, RAMET_ERROR_USAGE, "there is no command '%s %s'", words[0], words[1]);
  else if (*seconds)
    ramet_error_set (error, RAMET_ERROR_USAGE, "'ramet %s' wants another word", words[0]);
  else
    ramet_error_set (error, RAMET_ERROR_USAGE, "there is no command '%s'", words[0]);
  nearest = words[0] && !*seconds ? nearest_word (words[0]) : NULL;
  if (seconds && *seconds)
    ramet_error_hint (error, "one of: %s", seconds);
  else if (nearest)
    ramet_error_hint (error, "did you mean '%s'? 'ramet --help' lists them all", nearest);
  else
    ramet_error_hint (error, "'ramet --help' lists them");
}
