/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first project file that `ramet init` writes. */
#include "model/project.h"

/**
 * ramet_project_template:
 * @name: the project's
 * @base: (nullable): for its VMs, or %NULL if it is not known which there are
 * @packages: (nullable): those to propose, with blanks between them
 *
 * Returns: (transfer full)
 */
char *
ramet_project_template (const char *name, const char *base, const char *packages)
{
  GString *text = g_string_new (NULL);

  g_string_append_printf (text,
                          "# The VMs of this project. 'ramet up' makes and starts them, 'ramet down' stops them.\n"
                          "# What stands in [project] holds for all VMs that do not say otherwise.\n\n"
                          "[project]\n"
                          "name = %s\n"
                          "# 'ramet base list' shows what there is, 'ramet base build' makes one\n"
                          "base = %s\n"
                          "# this folder, at the same path inside; or elsewhere: .:/srv/%s\n"
                          "share = .\n"
                          "#cpus = 2\n"
                          "#memory = 1G\n"
                          "#disk-size = 20G\n"
                          "#network = default\n"
                          "#user = dev\n\n"
                          "# reachable as %s-dev.local: 'ramet ssh %s-dev'\n"
                          "[vm dev]\n"
                          "# installed, and scripts run as root, once: when the VM is made\n",
                          name, base ? base : "debian-12", name, name, name);
  g_string_append_printf (text, "#packages = %s\n", packages ? packages : "git make");
  g_string_append (text, "#run = setup.sh\n\n"
                         "#[vm db]\n"
                         "#packages = postgresql\n"
                         "# and in [vm dev], so that it is made and started when db is up:\n"
                         "#after = db\n");
  return g_string_free (text, FALSE);
}
