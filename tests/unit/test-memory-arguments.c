/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "model/memory-arguments.h"
#include "model/xml.h"

#define QEMU " xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'"
#define ARG(value) "<q:arg value='" value "'/>"
#define OF_FILE ARG ("-object") ARG ("memory-backend-file,id=ramet.ram,size=4096,mem-path=/t/m,share=off")
#define OF_RAM ARG ("-object") ARG ("memory-backend-ram,id=ramet.ram,size=8192")
#define MACHINE ARG ("-machine") ARG ("memory-backend=ramet.ram")

static xmlDoc *
parse (const char *xml)
{
  xmlDoc *doc = ramet_xml_parse (xml, "domain", NULL);

  g_assert_nonnull (doc);
  return doc;
}

static void
test_added (void)
{
  g_autoptr (xmlDoc) doc = parse ("<domain><name>web</name></domain>");
  g_autofree char *xml = NULL;

  ramet_memory_arguments_add (xmlDocGetRootElement (doc), "/t/m", 1 << 30);
  xml = ramet_xml_dump (doc);
  /* just what was tried with libvirt 9.0 and QEMU 7.2 */
  g_assert_cmpstr (xml, ==,
                   "<domain>\n  <name>web</name>\n"
                   "  <qemu:commandline xmlns:qemu=\"http://libvirt.org/schemas/domain/qemu/1.0\">\n"
                   "    <qemu:arg value=\"-object\"/>\n"
                   "    <qemu:arg value=\"memory-backend-file,id=ramet.ram,size=1073741824,mem-path=/t/m,share=off\"/>\n"
                   "    <qemu:arg value=\"-machine\"/>\n"
                   "    <qemu:arg value=\"memory-backend=ramet.ram\"/>\n"
                   "  </qemu:commandline>\n</domain>\n");
}

static const char *const paths[] = { "/t/m", "/t/a,b", "/t/,", "/t/,,x,", "/t/a b&<'\"é", "/t/x,share=on", "/t/,mem-path=/y" };

/* Whatever the path holds, QEMU gets it, and it is read back. */
static void
test_round_trip (gconstpointer data)
{
  const char *path = data;
  g_autoptr (xmlDoc) doc = parse ("<domain><devices/></domain>");
  g_autoptr (xmlDoc) again = NULL;
  g_autofree char *xml = NULL;
  g_autofree char *dropped = NULL;
  g_autofree char *rest = NULL;
  guint64 bytes;

  ramet_memory_arguments_add (xmlDocGetRootElement (doc), path, 12288);
  xml = ramet_xml_dump (doc);
  again = parse (xml);
  g_assert_true (ramet_memory_arguments_drop (xmlDocGetRootElement (again), &dropped, &bytes));
  g_assert_cmpstr (dropped, ==, path);
  g_assert_cmpuint (bytes, ==, 12288);
  rest = ramet_xml_dump (again);
  g_assert_cmpstr (rest, ==, "<domain>\n  <devices/>\n</domain>\n");
}

static void
test_commas_doubled (void)
{
  g_autoptr (xmlDoc) doc = parse ("<domain/>");
  g_autofree char *xml = NULL;

  ramet_memory_arguments_add (xmlDocGetRootElement (doc), "/t/a,share=on", 4096);
  xml = ramet_xml_dump (doc);
  g_assert_nonnull (strstr (xml, "mem-path=/t/a,,share=on,share=off\""));
}

static const struct
{
  const char *name;
  const char *inside; /* of the <q:commandline> */
  gboolean found;
  const char *path;
  guint64 bytes;
  const char *left; /* values with a blank behind each */
} cases[] = {
  { "a file", OF_FILE MACHINE, TRUE, "/t/m", 4096, "" },
  { "plain memory", OF_RAM MACHINE, TRUE, NULL, 8192, "" },
  { "in another order", MACHINE OF_FILE, TRUE, "/t/m", 4096, "" },
  { "twice", OF_FILE MACHINE OF_RAM MACHINE, TRUE, "/t/m", 8192, "" },
  { "among others", ARG ("-a") OF_FILE ARG ("-b") MACHINE ARG ("-c"), TRUE, "/t/m", 4096, "-a -b -c " },
  { "half of them", OF_FILE, TRUE, "/t/m", 4096, "" },
  { "an edited one without a length", ARG ("-object") ARG ("memory-backend-ram,id=ramet.ram,x=1"), TRUE, NULL, 0, "" },
  { "another memory", ARG ("-object") ARG ("memory-backend-file,id=x,size=1"), FALSE, NULL, 0,
    "-object memory-backend-file,id=x,size=1 " },
  { "another with that prefix", ARG ("-object") ARG ("memory-backend-file,id=ramet.ram2,size=1"), FALSE, NULL, 0,
    "-object memory-backend-file,id=ramet.ram2,size=1 " },
  { "another machine", ARG ("-machine") ARG ("memory-backend=ramet.ram,x=y"), FALSE, NULL, 0,
    "-machine memory-backend=ramet.ram,x=y " },
  { "cut off", ARG ("-object"), FALSE, NULL, 0, "-object " },
  { "cut off by an environment", ARG ("-object") "<q:env name='A' value='memory-backend-ram,id=ramet.ram,'/>", FALSE, NULL, 0,
    "-object memory-backend-ram,id=ramet.ram, " },
  { "none", "", FALSE, NULL, 0, "" },
};

static char *
values_left (xmlNode *domain)
{
  GString *text = g_string_new (NULL);
  xmlNode *commandline = ramet_xml_first (domain, "commandline");

  for (xmlNode *node = ramet_xml_first (commandline, NULL); node; node = ramet_xml_next (node, NULL))
    {
      g_autofree char *value = ramet_xml_get (node, "value");

      g_string_append_printf (text, "%s ", value);
    }
  return g_string_free (text, FALSE);
}

static void
test_dropped (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *xml = g_strconcat ("<domain" QEMU "><q:commandline>", cases[i].inside, "</q:commandline></domain>", NULL);
  g_autoptr (xmlDoc) doc = parse (xml);
  g_autofree char *path = NULL;
  g_autofree char *left = NULL;
  guint64 bytes;

  g_assert_cmpint (ramet_memory_arguments_drop (xmlDocGetRootElement (doc), &path, &bytes), ==, cases[i].found);
  g_assert_cmpstr (path, ==, cases[i].path);
  g_assert_cmpuint (bytes, ==, cases[i].bytes);
  left = values_left (xmlDocGetRootElement (doc));
  g_assert_cmpstr (left, ==, cases[i].left);
}

/* An element of that name that is not QEMU's is none of our business. */
static void
test_other_namespace (void)
{
  static const char xml[] = "<domain><commandline><arg value='-machine'/><arg value='memory-backend=ramet.ram'/></commandline>"
                            "</domain>";
  g_autoptr (xmlDoc) doc = parse (xml);
  g_autofree char *path = NULL;
  guint64 bytes;

  g_assert_false (ramet_memory_arguments_drop (xmlDocGetRootElement (doc), &path, &bytes));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/memory arguments/added", test_added);
  g_test_add_func ("/memory arguments/commas", test_commas_doubled);
  g_test_add_func ("/memory arguments/another namespace", test_other_namespace);
  for (gsize i = 0; i < G_N_ELEMENTS (paths); i++)
    {
      g_autofree char *path = g_strdup_printf ("/memory arguments/path %" G_GSIZE_FORMAT, i);

      g_test_add_data_func (path, paths[i], test_round_trip);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/memory arguments/dropped/", cases[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_dropped);
    }
  return g_test_run ();
}
