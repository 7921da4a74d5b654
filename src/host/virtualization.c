/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/virtualization.h"

#include <string.h>
#include <unistd.h>

/**
 * ramet_virtualization_has_kvm:
 * @ret_why_not: (out) (nullable): why KVM guests cannot run on this machine
 *
 * libvirt's capabilities list KVM wherever /dev/kvm opens, which says nothing where the CPU's extension is hidden.
 */
gboolean
ramet_virtualization_has_kvm (char **ret_why_not)
{
  g_autofree char *cpuinfo = NULL;

  *ret_why_not = NULL;
  if (!g_file_get_contents ("/proc/cpuinfo", &cpuinfo, NULL, NULL) ||
      !g_regex_match_simple ("^flags\\s*:.*\\b(vmx|svm)\\b", cpuinfo, G_REGEX_MULTILINE, 0))
    *ret_why_not = g_strdup ("the CPU shows no virtualization extension (vmx or svm); is it off in the firmware, or "
                             "is this a VM itself?");
  else if (access ("/dev/kvm", F_OK) < 0)
    *ret_why_not = g_strdup ("/dev/kvm is not there: the kernel module kvm_intel or kvm_amd is not loaded");
  return *ret_why_not == NULL;
}
