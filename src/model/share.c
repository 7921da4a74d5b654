/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/share.h"

#include <string.h>

#include "core/error.h"
#include "core/text.h"
#include "model/xml.h"

typedef enum
{
  ONLY_ITSELF,
  AND_BELOW,
} Extent;

typedef struct
{
  const char *path;
  Extent extent;
  const char *why; /* completes "cannot share 'PATH': …" */
} Rule;

/* Host folders that are nobody's project. */
static const Rule host_rules[] = {
  { "/", ONLY_ITSELF, "it is the whole machine" },
  { "/bin", AND_BELOW, "it belongs to the system" },
  { "/boot", AND_BELOW, "it belongs to the system" },
  { "/dev", AND_BELOW, "it holds devices" },
  { "/etc", AND_BELOW, "it holds the system's settings and secrets" },
  { "/home", ONLY_ITSELF, "it holds everybody's home" },
  { "/lib", AND_BELOW, "it belongs to the system" },
  { "/lib32", AND_BELOW, "it belongs to the system" },
  { "/lib64", AND_BELOW, "it belongs to the system" },
  { "/libx32", AND_BELOW, "it belongs to the system" },
  { "/proc", AND_BELOW, "it shows the kernel's state" },
  { "/root", AND_BELOW, "it is root's home" },
  { "/run", AND_BELOW, "it holds the sockets and state of services" },
  { "/sbin", AND_BELOW, "it belongs to the system" },
  { "/sys", AND_BELOW, "it shows the kernel's state" },
  { "/tmp", ONLY_ITSELF, "it holds everybody's temporary files" },
  { "/usr", ONLY_ITSELF, "it belongs to the system" },
  { "/usr/bin", AND_BELOW, "it belongs to the system" },
  { "/usr/lib", AND_BELOW, "it belongs to the system" },
  { "/usr/sbin", AND_BELOW, "it belongs to the system" },
  { "/var", ONLY_ITSELF, "it holds the state of services" },
  { "/var/lib", ONLY_ITSELF, "it holds the state of services" },
  { "/var/lib/libvirt", AND_BELOW, "it holds the disks of VMs" },
  { "/var/log", AND_BELOW, "it holds the system's logs" },
  { "/var/spool", AND_BELOW, "it holds mail and jobs" },
  { "/var/tmp", ONLY_ITSELF, "it holds everybody's temporary files" },
};

/* Folders of a home, by their path from it. */
static const Rule home_rules[] = {
  { ".aws", AND_BELOW, "it holds credentials" },
  { ".azure", AND_BELOW, "it holds credentials" },
  { ".cache", ONLY_ITSELF, "it holds what programs keep about you" },
  { ".config", ONLY_ITSELF, "it holds your settings and credentials" },
  { ".config/chromium", AND_BELOW, "it holds a browser's passwords" },
  { ".config/gcloud", AND_BELOW, "it holds credentials" },
  { ".config/gh", AND_BELOW, "it holds credentials" },
  { ".config/google-chrome", AND_BELOW, "it holds a browser's passwords" },
  { ".docker", AND_BELOW, "it holds credentials" },
  { ".gnupg", AND_BELOW, "it holds private keys" },
  { ".kube", AND_BELOW, "it holds credentials" },
  { ".local", ONLY_ITSELF, "it holds what programs keep about you" },
  { ".local/share", ONLY_ITSELF, "it holds what programs keep about you" },
  { ".local/share/keyrings", AND_BELOW, "it holds passwords" },
  { ".local/share/ramet", AND_BELOW, "it holds ramet's own key" },
  { ".mozilla", AND_BELOW, "it holds a browser's passwords" },
  { ".password-store", AND_BELOW, "it holds passwords" },
  { ".ssh", AND_BELOW, "it holds private keys" },
};

/* Guest folders that must not be covered by a share, or the guest no longer boots or lets nobody in. */
static const Rule guest_rules[] = {
  { "/", ONLY_ITSELF, NULL },          { "/bin", AND_BELOW, NULL },         { "/boot", AND_BELOW, NULL },
  { "/dev", AND_BELOW, NULL },         { "/etc", AND_BELOW, NULL },         { "/home", ONLY_ITSELF, NULL },
  { "/lib", AND_BELOW, NULL },         { "/lib32", AND_BELOW, NULL },       { "/lib64", AND_BELOW, NULL },
  { "/libx32", AND_BELOW, NULL },      { "/proc", AND_BELOW, NULL },        { "/root", ONLY_ITSELF, NULL },
  { "/root/.ssh", AND_BELOW, NULL },   { "/run", AND_BELOW, NULL },         { "/sbin", AND_BELOW, NULL },
  { "/sys", AND_BELOW, NULL },         { "/tmp", ONLY_ITSELF, NULL },       { "/usr", ONLY_ITSELF, NULL },
  { "/usr/bin", AND_BELOW, NULL },     { "/usr/lib", AND_BELOW, NULL },     { "/usr/lib32", AND_BELOW, NULL },
  { "/usr/lib64", AND_BELOW, NULL },   { "/usr/libexec", AND_BELOW, NULL }, { "/usr/libx32", AND_BELOW, NULL },
  { "/usr/sbin", AND_BELOW, NULL },    { "/usr/local", ONLY_ITSELF, NULL }, { "/usr/share", ONLY_ITSELF, NULL },
  { "/var", ONLY_ITSELF, NULL },       { "/var/lib", ONLY_ITSELF, NULL },   { "/var/lib/ramet", AND_BELOW, NULL },
  { "/var/lib/systemd", AND_BELOW, NULL }, { "/var/lib/dpkg", AND_BELOW, NULL }, { "/var/log", ONLY_ITSELF, NULL },
  { "/var/run", AND_BELOW, NULL },     { "/var/tmp", ONLY_ITSELF, NULL },
};

/** ramet_share_new: copies what it is given */
RametShare *
ramet_share_new (const char *source, const char *target, const char *tag)
{
  RametShare *share = g_new0 (RametShare, 1);

  share->source = g_strdup (source);
  share->target = g_strdup (target);
  share->tag = g_strdup (tag);
  return share;
}

void
ramet_share_free (RametShare *share)
{
  g_free (share->source);
  g_free (share->target);
  g_free (share->tag);
  g_free (share);
}

/**
 * ramet_share_tag_for:
 *
 * Returns: (transfer full): the mount tag of a share. The guest keeps by it what it wrote above the folder, so another folder never
 * gets the same one, and the same folder at the same place always does, also after it was taken away for a while.
 */
char *
ramet_share_tag_for (const char *source, const char *target)
{
  g_autofree char *both = g_strdup_printf ("%s\n%s", source, target);
  g_autofree char *digest = g_compute_checksum_for_string (G_CHECKSUM_SHA256, both, -1);

  return g_strdup_printf ("ramet-%.16s", digest);
}

/* Whether @path is @folder or lies below it; both absolute and normalised. */
static gboolean
is_within (const char *path, const char *folder)
{
  gsize length = g_str_equal (folder, "/") ? 0 : strlen (folder);

  return strncmp (path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static gboolean
rule_covers (const Rule *rule, const char *folder, const char *path)
{
  return g_str_equal (path, folder) || (rule->extent == AND_BELOW && is_within (path, folder));
}

/* What makes @path unfit to be named in a mount table, a unit or a line of text, or NULL. */
static const char *
find_flaw (const char *path)
{
  if (!g_utf8_validate (path, -1, NULL))
    return "its name is not valid UTF-8";
  for (const char *p = path; *p; p = g_utf8_next_char (p))
    if (g_unichar_iscntrl (g_utf8_get_char (p)))
      return *p == '\n' ? "its name has a line break in it" : "its name has a control character in it";
  return ramet_xml_can_hold (path) ? NULL : "its name has a character in it that XML cannot hold";
}

static gboolean
check_writable_name (const char *path, GError **error)
{
  const char *flaw = find_flaw (path);
  g_autofree char *safe = NULL;

  if (flaw == NULL)
    return TRUE;
  safe = ramet_text_escape (path, -1);
  ramet_error_set (error, RAMET_ERROR_USAGE, "cannot share '%s': %s", safe, flaw);
  ramet_error_hint (error, "rename the folder, or share one above it");
  return FALSE;
}

/* Splits at the first ':' without a backslash before it; "\:" and "\\" lose theirs. */
static void
split_spec (const char *spec, char **ret_dir, char **ret_rest)
{
  GString *dir = g_string_new (NULL);
  const char *p = spec;

  for (; *p && *p != ':'; p++)
    {
      if (p[0] == '\\' && (p[1] == ':' || p[1] == '\\'))
        p++;
      g_string_append_c (dir, *p);
    }
  *ret_dir = g_string_free (dir, FALSE);
  *ret_rest = *p == ':' ? g_strdup (p + 1) : NULL;
}

/* "//a/./b/../c/" → "/a/c", without a look at the file system. */
static char *
normalise (const char *path, const char *relative_to)
{
  g_autofree char *canonical = g_canonicalize_filename (path, relative_to);
  const char *start = canonical;

  /* two slashes at the start, and only two, are kept as POSIX allows them to mean something */
  while (start[0] == '/' && start[1] == '/')
    start++;
  return g_strdup (start);
}

/**
 * ramet_share_parse:
 * @spec: "DIR[:GUESTDIR]"; a colon in DIR is written "\:", a backslash before one "\\"
 * @cwd: absolute; what a relative DIR starts from
 * @ret_source: (out): absolute, normalised as text; symlinks are not looked at
 * @ret_target: (out): absolute, normalised; the same as @ret_source if there is no GUESTDIR
 * @error: RAMET_ERROR_USAGE if it does not parse, RAMET_ERROR_REFUSED if the guest cannot do without what it covers
 *
 * A target that was not given is the source, and left for the caller to check once the source is known to be fine.
 */
gboolean
ramet_share_parse (const char *spec, const char *cwd, char **ret_source, char **ret_target, GError **error)
{
  g_autofree char *dir = NULL;
  g_autofree char *rest = NULL;
  g_autofree char *source = NULL;
  g_autofree char *target = NULL;
  g_autofree char *safe = ramet_text_escape (spec, -1);

  split_spec (spec, &dir, &rest);
  if (*dir == '\0')
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "the share '%s' names no folder", safe);
      ramet_error_hint (error, "give one as DIR or DIR:GUESTDIR, as in '-d .' or '-d src:/srv/src'");
      return FALSE;
    }
  if (rest != NULL && rest[0] != '/')
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "the guest's folder in '%s' is not an absolute path", safe);
      ramet_error_hint (error, "start it with '/'; a colon in the name of a folder is written '\\:'");
      return FALSE;
    }
  source = normalise (dir, cwd);
  target = rest ? normalise (rest, "/") : g_strdup (source);
  if (!check_writable_name (source, error) || (rest && !ramet_share_check_target (target, error)))
    return FALSE;
  *ret_source = g_steal_pointer (&source);
  *ret_target = g_steal_pointer (&target);
  return TRUE;
}

/**
 * ramet_share_check_target:
 * @target: absolute, normalised
 * @error: RAMET_ERROR_REFUSED for what the guest's system needs for itself, RAMET_ERROR_USAGE for control characters
 */
gboolean
ramet_share_check_target (const char *target, GError **error)
{
  if (!check_writable_name (target, error))
    return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS (guest_rules); i++)
    if (rule_covers (&guest_rules[i], guest_rules[i].path, target))
      {
        g_autofree char *safe = ramet_text_escape (target, -1);

        ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot put a share over '%s' in the guest: its system needs that",
                         safe);
        ramet_error_hint (error, "name another place behind a colon, as in '-d DIR:/srv/project'");
        return FALSE;
      }
  return TRUE;
}

static gboolean
refuse_source (const char *path, const char *why, GError **error)
{
  g_autofree char *safe = ramet_text_escape (path, -1);

  ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot share '%s': %s", safe, why);
  ramet_error_hint (error, "share the project's own folder instead");
  return FALSE;
}

/**
 * ramet_share_check_source:
 * @canonical: absolute, without symlinks, so that none leads around the rules
 * @home: (nullable): the user's home, canonical too
 * @error: RAMET_ERROR_REFUSED if a guest should not see this folder, RAMET_ERROR_USAGE for control characters in it
 *
 * A share lets everything in a guest read all of a folder; so homes, keys and the system's own folders are out.
 */
gboolean
ramet_share_check_source (const char *canonical, const char *home, GError **error)
{
  gboolean has_home = home != NULL && home[0] == '/' && home[1] != '\0';

  if (!check_writable_name (canonical, error))
    return FALSE;
  if (has_home && g_str_equal (canonical, home))
    return refuse_source (canonical, "it is your whole home", error);
  for (gsize i = 0; has_home && i < G_N_ELEMENTS (home_rules); i++)
    {
      g_autofree char *folder = g_build_filename (home, home_rules[i].path, NULL);

      if (rule_covers (&home_rules[i], folder, canonical))
        return refuse_source (canonical, home_rules[i].why, error);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (host_rules); i++)
    {
      /* a home may lie in one of them: root's own, a service's */
      if (has_home && is_within (home, host_rules[i].path) && is_within (canonical, home))
        continue;
      if (rule_covers (&host_rules[i], host_rules[i].path, canonical))
        return refuse_source (canonical, host_rules[i].why, error);
    }
  if (has_home && is_within (home, canonical))
    return refuse_source (canonical, "your home lies in it", error);
  return TRUE;
}
