/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shares that go and come back: on libvirt's test driver, which has domains and no guests. */
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "model/hardware.h"
#include "operations/project/up.h"
#include "operations/vm/settings.h"

static char *folder; /* canonical */
static RametConnection *connection;

/* The VM 'shop-web', off, with these shares: pairs of source and target. */
static RametVm *
vm_new (const char *const *pairs)
{
  static const char bare[] = "<domain type='test'><name>shop-web</name>"
                             "<uuid>11111111-2222-3333-4444-555555555555</uuid><memory>1024</memory><os><type>hvm</type></os>"
                             "<devices/></domain>";
  g_autoptr (RametMetadata) metadata = ramet_metadata_new (RAMET_STATE_READY);
  g_autoptr (GPtrArray) none = g_ptr_array_new ();
  RametHardware hardware = { .shares = metadata->shares, .before = none };
  g_autoptr (RametDomain) domain = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *metadata_xml = NULL;
  g_autofree char *xml = NULL;

  metadata->base_name = g_strdup ("debian-12");
  metadata->project = g_strdup ("shop");
  for (; *pairs; pairs += 2)
    {
      g_autofree char *tag = ramet_share_tag_for (pairs[0], pairs[1]);

      g_ptr_array_add (metadata->shares, ramet_share_new (pairs[0], pairs[1], tag));
    }
  metadata_xml = ramet_metadata_to_xml (metadata);
  xml = ramet_hardware_rewrite (bare, &hardware, metadata_xml, &error);
  g_assert_no_error (error);
  domain = ramet_domain_define (connection, xml, &error);
  g_assert_no_error (error);
  return ramet_vm_open (connection, "shop-web", NULL);
}

/* Does the definition have just these shares, in this order? */
static void
assert_shares (const char *const *pairs)
{
  g_autoptr (RametVm) vm = ramet_vm_open (connection, "shop-web", NULL);
  g_autofree char *xml = ramet_domain_get_definition (vm->domain, NULL);
  GPtrArray *shares = vm->metadata->shares;
  guint n = 0;

  for (; *pairs; pairs += 2, n++)
    {
      const RametShare *share = g_ptr_array_index (shares, n);
      g_autofree char *tag = ramet_share_tag_for (pairs[0], pairs[1]);
      g_autofree char *device = g_strdup_printf ("<target dir='%s'/>", tag);

      g_assert_cmpuint (n, <, shares->len);
      g_assert_cmpstr (share->source, ==, pairs[0]);
      g_assert_cmpstr (share->target, ==, pairs[1]);
      g_assert_cmpstr (share->tag, ==, tag);
      g_assert_nonnull (strstr (xml, device));
    }
  g_assert_cmpuint (shares->len, ==, n);
}

static void
apply (RametVm *vm, const RametSettings *settings)
{
  g_autoptr (RametTask) task = ramet_task_new ("shop-web", NULL);
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;

  ramet_settings_apply (vm, task, settings, notes, &error);
  g_assert_no_error (error);
}

/* (transfer full): what `up` would say, with that line about shares in the file */
static char *
look (const char *line)
{
  g_autofree char *text = g_strdup_printf ("[project]\nname = shop\nbase = debian-12\n[vm web]\n%s\n", line);
  g_autoptr (GError) error = NULL;
  g_autoptr (RametProject) project = ramet_project_parse (text, strlen (text), folder, RAMET_PROJECT_FILE, &error);
  g_autoptr (RametTask) task = ramet_task_new ("shop-web", NULL);
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  RametUpNeed need;

  g_assert_no_error (error);
  ramet_up_look (connection, task, project, ramet_project_find_vm (project, "web"), &need, notes, &error);
  g_assert_no_error (error);
  g_ptr_array_add (notes, NULL);
  return g_strjoinv ("\n", (char **) notes->pdata);
}

static void
test_one_of_a_folder (void)
{
  const char *const both[] = { folder, "/srv/a", folder, "/srv/b", NULL };
  const char *const one[] = { folder, "/srv/a", NULL };
  g_autoptr (RametVm) vm = vm_new (both);
  g_autofree char *tag = ramet_share_tag_for (folder, "/srv/b");
  g_autofree char *said = look ("share = .:/srv/a");
  g_autofree char *wanted = g_strdup_printf ("share: '%s' at '/srv/b' no more; ", folder);

  g_assert_true (g_str_has_prefix (said, wanted));
  g_assert_null (strchr (said, '\n'));
  apply (vm, &(RametSettings){ .remove_tags = (const char *[]){ tag, NULL } });
  assert_shares (one);
}

static void
test_both_of_a_folder (void)
{
  const char *const both[] = { folder, "/srv/a", folder, "/srv/b", NULL };
  const char *const none[] = { NULL };
  g_autoptr (RametVm) vm = vm_new (both);
  g_autofree char *said = look ("share =");

  g_assert_nonnull (strstr (said, "'/srv/a' no more"));
  g_assert_nonnull (strstr (said, "'/srv/b' no more"));
  apply (vm, &(RametSettings){ .remove_shares = (const char *[]){ ".", NULL } });
  assert_shares (none);
}

static void
test_comes_back (void)
{
  const char *const one[] = { folder, "/srv/a", NULL };
  const char *const none[] = { NULL };
  g_autoptr (RametVm) vm = vm_new (one);

  apply (vm, &(RametSettings){ .remove_shares = (const char *[]){ folder, NULL } });
  assert_shares (none);
  apply (vm, &(RametSettings){ .add_shares = (const char *[]){ ".:/srv/a", NULL } });
  assert_shares (one);
}

/* A clone that goes on from a template has its guest's tags, which do not tell of the folders: the same one gets its own again. */
static void
test_slot_comes_back (void)
{
  const char *const one[] = { folder, "/srv/a", NULL };
  g_autofree char *other = ramet_share_tag_for (folder, "/srv/b");
  g_autoptr (RametVm) vm = vm_new (one);
  RametShare *share = g_ptr_array_index (vm->metadata->shares, 0);
  g_autoptr (GError) error = NULL;

  g_free (share->tag);
  share->tag = g_strdup ("ramet0");
  ramet_domain_set_metadata (vm->domain, vm->metadata, &error);
  g_assert_no_error (error);
  apply (vm, &(RametSettings){ .remove_shares = (const char *[]){ folder, NULL } });
  ramet_vm_free (vm);
  vm = ramet_vm_open (connection, "shop-web", NULL);
  g_assert_cmpuint (vm->metadata->shares->len, ==, 0);
  apply (vm, &(RametSettings){ .add_shares = (const char *[]){ ".:/srv/b", ".:/srv/a", NULL } });
  ramet_vm_free (vm);
  vm = ramet_vm_open (connection, "shop-web", NULL);
  g_assert_cmpuint (vm->metadata->shares->len, ==, 2);
  g_assert_cmpuint (vm->metadata->former_shares->len, ==, 0);
  g_assert_cmpstr (((RametShare *) g_ptr_array_index (vm->metadata->shares, 0))->tag, ==, other);
  g_assert_cmpstr (((RametShare *) g_ptr_array_index (vm->metadata->shares, 1))->tag, ==, "ramet0");
}

static void
test_became_a_link (void)
{
  g_autofree char *lib = g_build_filename (folder, "lib", NULL);
  g_autofree char *moved = g_build_filename (folder, "moved", NULL);
  const char *const before[] = { lib, "/srv/lib", NULL };
  const char *const after[] = { moved, "/srv/lib", NULL };
  g_autoptr (RametVm) vm = vm_new (before);
  g_autofree char *said = NULL;

  g_assert_cmpint (g_mkdir (moved, 0755), ==, 0);
  g_assert_cmpint (symlink ("moved", lib), ==, 0);
  said = look ("share = lib:/srv/lib");
  g_assert_nonnull (strstr (said, "/lib' at '/srv/lib' no more"));
  g_assert_nonnull (strstr (said, "/moved' at '/srv/lib'"));
  apply (vm, &(RametSettings){ .remove_shares = (const char *[]){ "lib", NULL },
                               .add_shares = (const char *[]){ "lib:/srv/lib", NULL } });
  assert_shares (after);
  g_unlink (lib);
  g_rmdir (moved);
}

int
main (int argc, char **argv)
{
  g_autofree char *made = NULL;
  int status;

  g_test_init (&argc, &argv, NULL);
  ramet_talk_init (RAMET_TALK_QUIET);
  made = g_dir_make_tmp ("ramet-settings-XXXXXX", NULL);
  folder = realpath (made, NULL);
  g_assert_cmpint (chdir (folder), ==, 0);
  connection = ramet_connection_open ("test:///default", NULL);
  g_assert_nonnull (connection);
  g_test_add_func ("/settings/one-of-a-folder", test_one_of_a_folder);
  g_test_add_func ("/settings/both-of-a-folder", test_both_of_a_folder);
  g_test_add_func ("/settings/comes-back", test_comes_back);
  g_test_add_func ("/settings/slot-comes-back", test_slot_comes_back);
  g_test_add_func ("/settings/became-a-link", test_became_a_link);
  status = g_test_run ();
  ramet_connection_unref (connection);
  g_rmdir (folder);
  free (folder);
  return status;
}
