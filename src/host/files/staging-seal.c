/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/files/staging-seal.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/paths.h"

#define KEY_BYTES 32

/* Whoever comes first makes it; one that is there is never replaced. Sets errno. */
static gboolean
make_key (const char *path)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *part = g_strconcat (path, ".XXXXXX", NULL);
  guint8 key[KEY_BYTES];
  gboolean made;
  int why;
  int fd;

  if (g_mkdir_with_parents (folder, 0700) < 0 || getrandom (key, sizeof key, 0) != sizeof key)
    return FALSE;
  fd = g_mkstemp_full (part, O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0)
    return FALSE;
  made = write (fd, key, sizeof key) == sizeof key && fsync (fd) == 0 && (link (part, path) == 0 || errno == EEXIST);
  why = errno;
  close (fd);
  g_unlink (part);
  errno = why;
  return made;
}

/* (transfer full) (nullable): KEY_BYTES of it */
static char *
load_key (GError **error)
{
  g_autofree char *path = ramet_paths_apply_key ();
  g_autofree char *key = NULL;
  g_autoptr (GError) why = NULL;
  gsize length = 0;

  if (access (path, F_OK) < 0 && errno == ENOENT && !make_key (path))
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot make the key '%s' of 'ramet apply': %s", path, g_strerror (errno));
      return NULL;
    }
  if (!g_file_get_contents (path, &key, &length, &why) || length != KEY_BYTES)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot read the key of 'ramet apply': %s",
                       why ? why->message : path);
      return NULL;
    }
  return g_steal_pointer (&key);
}

/** staging_seal: (transfer full) (nullable): what only this user's ramet can say of @text, and in this very folder */
char *
staging_seal (const StagingFolder *folder, const char *text, gsize length, GError **error)
{
  g_autofree char *key = load_key (error);
  g_autofree char *where = NULL;
  GHmac *hmac;
  char *seal;
  struct stat st;

  if (key == NULL)
    return NULL;
  if (fstat (folder->fd, &st) < 0)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot look at '%s': %s", folder->path, g_strerror (errno));
      return NULL;
    }
  where = g_strdup_printf ("%" G_GUINT64_FORMAT " %s", (guint64) st.st_ino, folder->name);
  hmac = g_hmac_new (G_CHECKSUM_SHA256, (const guchar *) key, KEY_BYTES);
  g_hmac_update (hmac, (const guchar *) where, (gssize) strlen (where) + 1);
  g_hmac_update (hmac, (const guchar *) text, (gssize) length);
  seal = g_strdup (g_hmac_get_string (hmac));
  g_hmac_unref (hmac);
  return seal;
}
