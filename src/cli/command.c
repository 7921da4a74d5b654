/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/command.h"

#include <string.h>

#include "cli/commands.h"
#include "core/error.h"

#define CONNECTS RAMET_COMMAND_CONNECTS
#define JSON RAMET_COMMAND_JSON
#define MAKING "Making VMs"
#define USING "Getting in"
#define LOOKING "Looking"
#define LIFECYCLE "Lifecycle"
#define BASES "Bases"

const RametCommand ramet_commands[] = {
  { "clone", "BASE NAME", MAKING, "Make a new VM from a base, ready to ssh into", CONNECTS | JSON, 2, 2,
    ramet_options_clone, ramet_cmd_clone },
  { "remove", "NAME…", MAKING, "Delete VMs and all that ramet made for them", CONNECTS, 1, -1, ramet_options_remove,
    ramet_cmd_remove },
  { "rebase", "NAME…", MAKING, "Let clones follow a base that was moved or renamed", CONNECTS, 1, -1,
    ramet_options_rebase, ramet_cmd_rebase },
  { "flatten", "NAME…", MAKING, "Let clones stand alone, with a copy of all that is their base's", CONNECTS, 1, -1,
    ramet_options_flatten, ramet_cmd_flatten },

  { "ssh", "NAME [-- COMMAND…]", USING, "Open a shell in a VM, or run one command there",
    CONNECTS | RAMET_COMMAND_POSIX, 1, -1, ramet_options_ssh, ramet_cmd_ssh },
  { "ssh-config", "", USING, "Print what ~/.ssh/config needs for ssh, scp, rsync and editors", CONNECTS, 0, 0, NULL,
    ramet_cmd_ssh_config },
  { "ssh-known-host", "HOST", USING, "Print a VM's host keys for ssh", CONNECTS | RAMET_COMMAND_HIDDEN, 1, 1,
    ramet_options_ssh_known_host, ramet_cmd_ssh_known_host },
  { "ssh-proxy", "HOST", USING, "Connect ssh to a VM", CONNECTS | RAMET_COMMAND_HIDDEN, 1, 1, NULL,
    ramet_cmd_ssh_proxy },
  { "wait", "NAME…", USING, "Wait until VMs answer ssh by name", CONNECTS, 1, -1, ramet_options_wait,
    ramet_cmd_wait },
  { "console", "NAME", USING, "Open a VM's serial console", CONNECTS, 1, 1, NULL, ramet_cmd_console },

  { "list", "", LOOKING, "List VMs with state, address and size", CONNECTS | JSON, 0, 0, ramet_options_list,
    ramet_cmd_list },
  { "info", "NAME…", LOOKING, "Show all there is to know of a VM", CONNECTS | JSON, 1, -1, NULL, ramet_cmd_info },
  { "tree", "", LOOKING, "Show who was cloned from whom, and what it costs on disk", CONNECTS | JSON, 0, 0, NULL,
    ramet_cmd_tree },
  { "doctor", "", LOOKING, "Find what is wrong and what to type; exits 1 if errors are left", JSON, 0, 0,
    ramet_options_doctor, ramet_cmd_doctor },

  { "start", "NAME…", LIFECYCLE, "Start VMs", CONNECTS, 1, -1, ramet_options_start, ramet_cmd_start },
  { "stop", "NAME…", LIFECYCLE, "Ask VMs to shut down, and wait until they have", CONNECTS, 1, -1,
    ramet_options_stop, ramet_cmd_stop },
  { "restart", "NAME…", LIFECYCLE, "Stop and start VMs", CONNECTS, 1, -1, ramet_options_stop, ramet_cmd_restart },
  { "pause", "NAME…", LIFECYCLE, "Freeze VMs where they stand", CONNECTS, 1, -1, NULL, ramet_cmd_pause },
  { "resume", "NAME…", LIFECYCLE, "Let frozen VMs go on, their clocks set right", CONNECTS, 1, -1, NULL,
    ramet_cmd_resume },
  { "autostart", "NAME…", LIFECYCLE, "Start VMs with the host", CONNECTS, 1, -1, ramet_options_autostart,
    ramet_cmd_autostart },

  { "base build", "[NAME]", BASES, "Build a Debian base, and try whether it boots", CONNECTS, 0, 1,
    ramet_options_base_build, ramet_cmd_base_build },
  { "base update", "BASE", BASES, "Build a newer version of a base beside it", CONNECTS, 1, 1,
    ramet_options_base_update, ramet_cmd_base_update },
  { "base list", "", BASES, "List bases and who stands on them", CONNECTS | JSON, 0, 0, NULL, ramet_cmd_base_list },
  { "base remove", "NAME", BASES, "Delete a base that no VM stands on", CONNECTS, 1, 1,
    ramet_options_base_remove, ramet_cmd_base_remove },
};

const gsize ramet_n_commands = G_N_ELEMENTS (ramet_commands);

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

static gboolean
is_first_of_group (gsize index)
{
  return index == 0 || !g_str_equal (ramet_commands[index].group, ramet_commands[index - 1].group);
}

/** ramet_print_help: what `ramet --help` shows */
void
ramet_print_help (void)
{
  g_print ("ramet gives a developer one virtual machine per project, cloned in seconds from a base.\n\n"
           "Usage: ramet [OPTION…] COMMAND [ARGUMENT…]\n"
           "       ramet clone debian-12 web -d .     make the VM 'web', with this folder inside\n"
           "       ramet ssh web                      get in; other programs know it as web.local\n");
  for (gsize i = 0; i < ramet_n_commands; i++)
    {
      const RametCommand *command = &ramet_commands[i];

      if (command->flags & RAMET_COMMAND_HIDDEN)
        continue;
      if (is_first_of_group (i))
        g_print ("\n%s:\n", command->group);
      g_print ("  %-12s %s\n", command->name, command->summary);
    }
  g_print ("\nGlobal options:\n"
           "  -c, --connect=URI   libvirt to talk to; else LIBVIRT_DEFAULT_URI, else qemu:///system\n"
           "  -q, --quiet         say nothing but errors\n"
           "  -v, --verbose       say more\n"
           "      --json          print data as JSON, where a command prints data\n"
           "      --version       print the version\n"
           "  -h, --help          this, or with a command its own help\n"
           "\nA NAME may be '@PROJECT': all VMs of that project.\n"
           "\nExit status: 0 done, 1 failed, 2 wrong usage, 3 not there, 4 exists already or its state forbids,\n"
           "  5 refused as unsafe or not permitted, 6 partly done, 124 timed out, 130 interrupted.\n"
           "  'ramet ssh' hands on the command's own.\n");
}
