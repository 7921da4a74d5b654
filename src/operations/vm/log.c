/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is kept of a VM: how it was set up, and what its guest printed on the serial console. */
#include "operations/vm/log.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/error.h"
#include "core/paths.h"
#include "core/text.h"
#include "host/libvirt/folder-files.h"
#include "model/domain.h"
#include "model/identity.h"
#include "model/names.h"

/* virtlogd's, for the system's libvirtd. In 'qemu' below it logrotate would work beside virtlogd, and not every host has that
 * before its first VM has run. */
#define SERIAL_FOLDER "/var/log/libvirt"
#define MAX_BYTES (16 * 1024 * 1024)
#define MAX_LINE_BYTES (64 * 1024)
#define GREETING "printf \\036" /* what a sealed console echoes of ramet's trying whether a shell answers */
#define FRAME_MARK '\x1e' /* what a frame of the root console starts with */

/* Of a file's name, behind the VM's name: that may be another's later. */
#define SERIAL_END "-%s-serial0.log"

/** ramet_log_serial_path: (transfer full) (nullable): where the serial console of a VM that is made is to be logged */
char *
ramet_log_serial_path (RametConnection *connection, const char *name, const char *uuid)
{
  /* a user's own libvirtd writes elsewhere, and others nowhere */
  if (!ramet_connection_is_system (connection))
    return NULL;
  return g_strdup_printf (SERIAL_FOLDER "/%s" SERIAL_END, name, uuid);
}

/* (transfer full) (nullable): the name that a VM was made by, if @path is where ramet has it logged */
static char *
name_in_path (RametVm *vm, const char *path)
{
  g_autofree char *uuid = ramet_domain_get_uuid (vm->domain);
  g_autofree char *end = uuid ? g_strdup_printf (SERIAL_END, uuid) : NULL;
  const char *name = path && g_str_has_prefix (path, SERIAL_FOLDER "/") ? path + strlen (SERIAL_FOLDER "/") : NULL;

  if (name == NULL || end == NULL || !g_str_has_suffix (name, end) || strchr (name, '/'))
    return NULL;
  return g_strndup (name, strlen (name) - strlen (end));
}

/* (transfer full) (nullable) */
static char *
find_serial_log (RametVm *vm, GError **error)
{
  g_autofree char *xml = ramet_domain_get_definition (vm->domain, error);
  g_autoptr (RametDomainFacts) facts = xml ? ramet_domain_facts_new (xml, error) : NULL;

  return facts ? g_steal_pointer (&facts->serial_log) : NULL;
}

/* Of a VM that virsh has renamed, the log under its new name is not known to be its. */
static gboolean
is_renamed (RametVm *vm)
{
  g_autofree char *path = find_serial_log (vm, NULL);
  g_autofree char *first = name_in_path (vm, path);

  return first && !g_str_equal (first, ramet_vm_get_name (vm));
}

/**
 * ramet_log_read_setup:
 * @vm: (nullable): the one that @name is, if there is one
 *
 * Returns: (transfer full) (nullable): as it was written; %NULL without @error: there is none
 */
char *
ramet_log_read_setup (const char *name, RametVm *vm, GError **error)
{
  g_autofree char *path = ramet_name_check_vm (name, NULL) && !(vm && is_renamed (vm)) ? ramet_paths_log (name) : NULL;
  g_autoptr (GError) why = NULL;
  char *text = NULL;

  if (path && !g_file_get_contents (path, &text, NULL, &why) && !g_error_matches (why, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    ramet_error_set (error, RAMET_ERROR_FAILED, "cannot read the log '%s': %s", path, why->message);
  return text;
}

/* Whoever set it up spoke with ramet in frames over the same line: what came since is behind the last of them. */
static const char *
skip_setup (const char *bytes, gsize length)
{
  const char *mark = memrchr (bytes, FRAME_MARK, length);
  const char *end = mark ? memchr (mark, '\n', length - (gsize) (mark - bytes)) : NULL;

  return mark == NULL ? bytes : end ? end + 1 : bytes + length;
}

/* (transfer full): lines that a terminal may be given */
static char *
make_safe (const char *bytes, gsize length)
{
  GString *text = g_string_new (NULL);
  const char *end = bytes + length;

  while (bytes < end)
    {
      const char *stop = memchr (bytes, '\n', (gsize) (end - bytes));
      gsize n = (gsize) ((stop ? stop : end) - bytes);
      g_autofree char *plain = NULL;
      g_autofree char *safe = NULL;

      while (n > 0 && bytes[n - 1] == '\r')
        n--;
      plain = ramet_text_strip_sequences (bytes, n);
      safe = ramet_text_escape (plain, -1);
      if (!g_str_has_prefix (safe + strspn (safe, " "), GREETING))
        g_string_append_printf (text, "%s\n", safe);
      bytes = stop ? stop + 1 : end;
    }
  return g_string_free (text, FALSE);
}

static char *
read_whole (int fd, const char *path, gsize *ret_length, GError **error)
{
  off_t size = lseek (fd, 0, SEEK_END);
  g_autofree char *bytes = g_malloc ((gsize) MAX (size, 0) + 1);
  gssize got = size < 0 ? -1 : pread (fd, bytes, (gsize) size, 0);

  if (got < 0)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot read the log '%s': %s", path, g_strerror (errno));
      return NULL;
    }
  *ret_length = (gsize) got;
  return g_steal_pointer (&bytes);
}

/* How many of @bytes are whole lines; of a line that is too long, all. */
static gsize
whole_lines (const char *bytes, gsize length)
{
  const char *last = memrchr (bytes, '\n', length);

  return last ? (gsize) (last - bytes) + 1 : length >= MAX_LINE_BYTES ? length : 0;
}

/**
 * ramet_log_find_serial:
 * @error: RAMET_ERROR_NOT_FOUND if nothing is kept: its definition says so
 *
 * Returns: (transfer full): where on libvirtd's host what it prints is kept
 */
char *
ramet_log_find_serial (RametVm *vm, GError **error)
{
  const char *name = ramet_vm_get_name (vm);
  g_autoptr (GError) why = NULL;
  char *path = find_serial_log (vm, &why);

  if (why)
    g_propagate_error (error, g_steal_pointer (&why));
  else if (path == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "what '%s' prints on its serial console is not kept", name);
      ramet_error_hint (error, "'virsh edit %s': <log file='" SERIAL_FOLDER "/%s.log' append='on'/> in its first <serial>; "
                               "'ramet console %s' shows it as it comes", name, name, name);
    }
  return path;
}

/**
 * ramet_log_read_serial:
 * @path: of ramet_log_find_serial(): root's file, by way of libvirt
 * @at: (inout): from which byte on; comes to say where what is given back ends
 * @only_lines: a line that is not at its end is left for the next time
 * @error: RAMET_ERROR_NOT_FOUND if it is not there: the VM never ran
 *
 * Of a long log that is the last part, and it is said so.
 *
 * Returns: (transfer full): what the guest printed since it was set up, safe for a terminal
 */
char *
ramet_log_read_serial (RametVm *vm, RametTask *task, const char *path, guint64 *at, gboolean only_lines, GError **error)
{
  int fd = memfd_create ("serial-log", MFD_CLOEXEC);
  g_autofree char *bytes = NULL;
  guint64 from = *at;
  gsize length = 0;
  const char *since;

  if (fd < 0)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot hold the log '%s': %s", path, g_strerror (errno));
      return NULL;
    }
  if (ramet_folder_get_end (ramet_domain_get_connection (vm->domain), task, path, MAX_BYTES, &from, fd, error))
    bytes = read_whole (fd, path, &length, error);
  close (fd);
  if (bytes == NULL)
    return NULL;
  if (from > *at)
    ramet_task_warn (task, "it has printed more: this is the last %d MiB of it", MAX_BYTES / (1024 * 1024));
  if (only_lines)
    length = whole_lines (bytes, length);
  *at = from + length;
  since = skip_setup (bytes, length);
  return make_safe (since, length - (gsize) (since - bytes));
}

/**
 * ramet_log_remove:
 * @setup_too: how it was set up is forgotten as well
 *
 * Of a VM that is off, about to be undefined. A log that stays does no harm: it is told.
 */
void
ramet_log_remove (RametVm *vm, RametTask *task, gboolean setup_too)
{
  const char *name = ramet_vm_get_name (vm);
  RametConnection *connection = ramet_domain_get_connection (vm->domain);
  g_autofree char *path = find_serial_log (vm, NULL);
  g_autofree char *first = name_in_path (vm, path);
  gboolean keep = !setup_too || (first && !g_str_equal (first, name)) || !ramet_name_check_vm (name, NULL);
  g_autofree char *setup = keep ? NULL : ramet_paths_log (name);
  g_autoptr (GError) why = NULL;

  if (first && !ramet_folder_remove_log (connection, path, &why))
    ramet_task_warn (task, "its log stays: %s", why->message);
  if (setup)
    g_unlink (setup);
}
