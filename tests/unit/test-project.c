/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "core/error.h"
#include "model/project.h"

#define HEAD "[project]\nname=shop\nbase=debian-12\n"
#define SIXTY "a2345678901234567890123456789012345678901234567890123456789b"

/* Files that are refused: all that is told, a finding a line, and what the hint of the first one has in it. */
static const struct
{
  const char *title, *text, *told, *hint;
} bad_rows[] = {
  { "empty", "", "f: there is no section '[project]'|f: the project has no VMs", "[project]" },
  { "no VM", HEAD, "f: the project has no VMs", "[vm NAME]" },
  { "no name", "[project]\nbase=x\n[vm a]\n", "f:1: the project has no name", "name = NAME" },
  { "no base", "[project]\nname=x\n[vm a]\n", "f:3: 'a' has no base", "base list" },
  { "unknown key", HEAD "[vm a]\nmemry=1G\n", "f:5: there is no key 'memry' in [vm …]", "did you mean 'memory'?" },
  { "swapped letters", HEAD "[vm a]\ncpsu=1\n", "f:5: there is no key 'cpsu' in [vm …]", "did you mean 'cpus'?" },
  { "nothing like it", HEAD "[vm a]\nzzz=1\n", "f:5: there is no key 'zzz' in [vm …]", "the keys are: base, cpus" },
  { "a VM's key in project", "[project]\nafter=b\nname=x\nbase=x\n[vm a]\n", "f:2: there is no key 'after' in [project]", "" },
  { "project's key in a VM", HEAD "[vm a]\nname=b\n", "f:5: there is no key 'name' in [vm …]", "" },
  { "unknown section", HEAD "[vm a]\n[web]\n", "f:5: there is no section '[web]'", "[vm web]" },
  { "section misspelt", HEAD "[vn web]\n[vm a]\n", "f:4: there is no section '[vn web]'", "did you mean '[vm web]'?" },
  { "project misspelt", "[projet]\n[vm a]\nbase=x\n", "f: there is no section '[project]'|f:1: there is no section '[projet]'", "" },
  { "a VM without a name", HEAD "[vm]\n[vm a]\n", "f:4: there is no section '[vm]'", "give the VM a name" },
  { "key twice", HEAD "[vm a]\ncpus=1\ncpus=2\n", "f:6: 'cpus' is there already, in line 5", "leave one" },
  { "section twice", HEAD "[vm a]\n[vm b]\n[vm  a]\n", "f:6: the section '[vm a]' is there already, in line 4", "one" },
  { "before any section", "x=1\n" HEAD "[vm a]\n", "f:1: this stands before any section", "[project]" },
  { "no line of its own", HEAD "[vm a]\nhello\n", "f:5: 'hello' is no 'key = value'", "[vm NAME]" },
  { "comment of others", HEAD "; hello\n[vm a]\n", "f:4: '; hello' is no 'key = value'", "starts with '#'" },
  { "section with a comment", HEAD "[vm a] # x\n", "f:4: the section '[vm a] # x' does not end in ']'", "of its own" },
  { "cpus", HEAD "[vm a]\ncpus=0\n", "f:5: 'cpus' takes a number from 1 to 4096, not '0'", "" },
  { "cpus with a comment", HEAD "[vm a]\ncpus=2 # two\n", "f:5: 'cpus' takes a number from 1 to 4096, not '2 # two'", "" },
  { "memory", HEAD "[vm a]\nmemory=lots\n", "f:5: 'lots' is not a size", "" },
  { "little memory", HEAD "[vm a]\nmemory=1\n", "f:5: '1' is too little memory", "MiB" },
  { "disk", HEAD "[vm a]\ndisk-size=-1\n", "f:5: '-1' is negative", "" },
  { "package", HEAD "[vm a]\npackages=git -x\n", "f:5: the package name '-x' does not start with a letter or digit", "" },
  { "user", HEAD "[vm a]\nuser=a b\n", "f:5: the user name 'a b' has a ' ' in it", "" },
  { "base", HEAD "[vm a]\nbase=-x\n", "f:5: the base name '-x' starts with a hyphen", "" },
  { "share", HEAD "[vm a]\nshare=.:/etc\n", "f:5: cannot put a share over '/etc' in the guest: its system needs that", "" },
  { "no value", HEAD "[vm a]\nnetwork=\n", "f:5: 'network' has no value", "" },
  { "escape", HEAD "[vm a]\nrun=a\\qb\n", "f:5: the value of 'run' cannot be read", "" },
  { "project's name", "[project]\nname=My Shop\nbase=x\n[vm a]\n", "f:1: the project name 'My Shop' has a ' ' in it", "" },
  { "VM's name", HEAD "[vm Web]\n", "f:4: the VM name 'Web' has upper-case letters", "write 'web'" },
  { "names together", HEAD "[vm " SIXTY "]\n", "f:4: the VM's whole name 'shop-" SIXTY "' is too long: 65 characters", "63" },
  { "after nobody", HEAD "[vm web]\nafter=dbb\n[vm db]\n", "f:4: 'web' comes after 'dbb', and there is no such VM here", "'db'" },
  { "after itself", HEAD "[vm a]\nafter=a\n", "f: 'after' goes in a circle: a → a", "first" },
  { "circle", HEAD "[vm x]\nafter=web\n[vm web]\nafter=db\n[vm db]\nafter=web\n", "f: 'after' goes in a circle: web → db → web", "" },
  { "all at once", HEAD "[vm a]\ncpus=x\nmemory=y\n[b]\n",
    "f:5: 'cpus' takes a number from 1 to 4096, not 'x'|f:6: 'y' is not a size|f:7: there is no section '[b]'", "" },
  { "escape sequence", HEAD "[vm a]\n\033[31m=1\n", "f:5: there is no key '\\x1b[31m' in [vm …]", "" },
  { "no UTF-8", HEAD "[vm \xff]\n", "'f' is no text in UTF-8", "" },
};

static void
test_bad (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (GError) error = NULL;
  g_autoptr (GString) told = g_string_new (NULL);
  g_autoptr (RametProject) project
    = ramet_project_parse (bad_rows[i].text, strlen (bad_rows[i].text), "/srv/shop", "f", &error);

  g_assert_null (project);
  g_assert_nonnull (error);
  for (const GError *at = error; at; at = ramet_error_get_next (at))
    {
      g_string_append_printf (told, "%s%s", told->len ? "|" : "", at->message);
      g_assert_nonnull (ramet_error_get_hint (at));
    }
  g_assert_cmpstr (told->str, ==, bad_rows[i].told);
  if (strstr (ramet_error_get_hint (error), bad_rows[i].hint) == NULL)
    g_error ("'%s' is not in the hint '%s'", bad_rows[i].hint, ramet_error_get_hint (error));
}

static RametProject *
parse_good (const char *text)
{
  g_autoptr (GError) error = NULL;
  RametProject *project = ramet_project_parse (text, strlen (text), "/srv/shop", "f", &error);

  g_assert_no_error (error);
  g_assert_nonnull (project);
  return project;
}

static char *
joined (char **list)
{
  return list ? g_strjoinv ("|", list) : NULL;
}

static void
test_values (void)
{
  g_autoptr (RametProject) project = parse_good (
    "\xef\xbb\xbf# ours\r\n[vm web]\r\n  after = db, cache\r\n share = . ; ../my lib:/srv/lib;a\\;b\r\n"
    "packages=git,make;nodejs  npm\r\nrun=a b.sh;/x/../y.sh\r\ndisk-size=20\r\nmemory=2G\r\nuser=dev\r\npool=fast\r\n\r\n"
    "[vm db]\npackages=\ncpus=4\n[vm cache]\nnetwork=other\n\n[project]\nname=shop\nbase=debian-12\ncpus=2\npackages=git\n");
  const RametProjectVm *web = ramet_project_find_vm (project, "web");
  const RametProjectVm *db = ramet_project_find_vm (project, "shop-db");
  const RametProjectVm *cache = ramet_project_find_vm (project, "cache");
  g_autofree char *after = joined (web->after);
  g_autofree char *shares = joined (web->shares);
  g_autofree char *packages = joined (web->packages);
  g_autofree char *run = joined (web->run);
  g_autofree char *none = joined (db->packages);
  g_autofree char *given = joined (cache->packages);

  g_assert_cmpstr (project->name, ==, "shop");
  g_assert_cmpuint (project->vms->len, ==, 3);
  g_assert_true (g_ptr_array_index (project->vms, 0) == web);
  g_assert_cmpstr (web->full_name, ==, "shop-web");
  g_assert_cmpuint (web->line, ==, 2);
  g_assert_cmpstr (after, ==, "db|cache");
  g_assert_cmpstr (shares, ==, ".|../my lib:/srv/lib|a;b");
  g_assert_cmpstr (packages, ==, "git|make|nodejs|npm");
  g_assert_cmpstr (run, ==, "/srv/shop/a b.sh|/y.sh");
  g_assert_cmpuint (web->disk_bytes, ==, 20ULL << 30);
  g_assert_cmpuint (web->memory_bytes, ==, 2ULL << 30);
  g_assert_cmpstr (web->user, ==, "dev");
  g_assert_cmpstr (web->pool, ==, "fast");
  g_assert_cmpuint (web->vcpus, ==, 2);
  g_assert_cmpuint (db->vcpus, ==, 4);
  g_assert_cmpstr (none, ==, "");
  g_assert_cmpstr (given, ==, "git");
  g_assert_null (cache->shares);
  g_assert_cmpstr (cache->network, ==, "other");
  g_assert_cmpstr (cache->base, ==, "debian-12");
}

static void
test_order (void)
{
  g_autoptr (RametProject) project = parse_good (HEAD "[vm a]\nafter=c b\n[vm b]\nafter=d\n[vm c]\n[vm d]\nafter=c\n");
  g_autoptr (GPtrArray) order = ramet_project_order (project);
  g_autoptr (GString) names = g_string_new (NULL);

  for (guint i = 0; i < order->len; i++)
    g_string_append (names, ((RametProjectVm *) g_ptr_array_index (order, i))->name);
  g_assert_cmpstr (names->str, ==, "cdba");
}

static void
test_bounds (void)
{
  g_autoptr (GString) text = g_string_new (HEAD);
  g_autoptr (RametProject) project = NULL;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < RAMET_PROJECT_MAX_VMS; i++)
    g_string_append_printf (text, "[vm v%u]\n", i);
  project = parse_good (text->str);
  g_assert_cmpuint (project->vms->len, ==, RAMET_PROJECT_MAX_VMS);
  g_string_append (text, "[vm w]\n[vm x]\n");
  g_assert_null (ramet_project_parse (text->str, text->len, "/", "f", &error));
  g_assert_cmpstr (error->message, ==, "f:68: there are more than 64 VMs");
  g_assert_null (ramet_error_get_next (error));
  g_clear_error (&error);
  while (text->len <= RAMET_PROJECT_MAX_BYTES)
    g_string_append (text, "# a line that says nothing\n");
  g_assert_null (ramet_project_parse (text->str, text->len, "/", "f", &error));
  g_assert_cmpstr (error->message, ==, "'f' is larger than 64 KiB");
}

/* What init writes is a file that up takes, comments taken away or not. */
static void
test_template (void)
{
  g_autofree char *text = ramet_project_template ("shop", NULL, "nodejs npm");
  g_autofree char *other = ramet_project_template ("shop", "debian-13", NULL);
  g_autoptr (RametProject) project = parse_good (text);
  g_autoptr (RametProject) second = parse_good (other);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  g_autofree char *open = NULL;
  g_autoptr (RametProject) opened = NULL;

  g_assert_cmpstr (((RametProjectVm *) g_ptr_array_index (project->vms, 0))->full_name, ==, "shop-dev");
  g_assert_cmpstr (((RametProjectVm *) g_ptr_array_index (second->vms, 0))->base, ==, "debian-13");
  for (char **line = lines; *line; line++)
    if ((*line)[0] == '#' && (*line)[1] != ' ' && !g_str_has_prefix (*line, "#after"))
      (*line)[0] = ' ';
  open = g_strjoinv ("\n", lines);
  opened = parse_good (open);
  g_assert_cmpuint (opened->vms->len, ==, 2);
  g_assert_cmpstr (((RametProjectVm *) g_ptr_array_index (opened->vms, 0))->packages[0], ==, "nodejs");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (bad_rows); i++)
    {
      g_autofree char *path = g_strdup_printf ("/project/bad/%s", bad_rows[i].title);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_bad);
    }
  g_test_add_func ("/project/values", test_values);
  g_test_add_func ("/project/order", test_order);
  g_test_add_func ("/project/bounds", test_bounds);
  g_test_add_func ("/project/template", test_template);
  return g_test_run ();
}
