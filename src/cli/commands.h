/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/command.h"

/* What the table of commands is made of; each is in the cmd-*.c that its name tells. */
gboolean ramet_cmd_clone (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_ssh (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_ssh_config (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_ssh_known_host (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_ssh_proxy (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_wait (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_console (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_list (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_info (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_tree (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_doctor (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_start (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_stop (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_restart (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_pause (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_resume (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_autostart (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_remove (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_rebase (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_flatten (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_base_build (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_base_update (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_base_list (RametInvocation *invocation, char **args, GError **error);
gboolean ramet_cmd_base_remove (RametInvocation *invocation, char **args, GError **error);

extern const GOptionEntry ramet_options_clone[];
extern const GOptionEntry ramet_options_list[];
extern const GOptionEntry ramet_options_start[];
extern const GOptionEntry ramet_options_doctor[];
extern const GOptionEntry ramet_options_stop[];
extern const GOptionEntry ramet_options_autostart[];
extern const GOptionEntry ramet_options_remove[];
extern const GOptionEntry ramet_options_wait[];
extern const GOptionEntry ramet_options_ssh[];
extern const GOptionEntry ramet_options_ssh_known_host[];
extern const GOptionEntry ramet_options_rebase[];
extern const GOptionEntry ramet_options_flatten[];
extern const GOptionEntry ramet_options_base_build[];
extern const GOptionEntry ramet_options_base_update[];
extern const GOptionEntry ramet_options_base_remove[];
