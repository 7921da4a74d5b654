/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * usage: bare-clone FLAGS BASE DOMAIN-XML POOL VOLUME-XML METADATA-XML
 *
 * FLAGS are virDomainDefineFlags, in digits: 1 has libvirt validate the XML, as ramet does, and costs some 10 ms.
 * The least that makes a linked clone through libvirt, without a check or an undo: what 'ramet clone --no-bootstrap' is
 * measured against. The XML comes ready from files.
 */
#include <libvirt/libvirt.h>
#include <stdio.h>
#include <stdlib.h>

#define XML_BYTES (64 * 1024)

static const char *
read_file (const char *path, char *buffer)
{
  FILE *file = fopen (path, "r");
  size_t length = file ? fread (buffer, 1, XML_BYTES - 1, file) : 0;

  if (length == 0)
    {
      perror (path);
      exit (1);
    }
  fclose (file);
  buffer[length] = '\0';
  return buffer;
}

/* libvirt has printed why. */
static void *
must (void *result)
{
  if (result == NULL)
    exit (1);
  return result;
}

int
main (int argc, char **argv)
{
  static char text[XML_BYTES];
  virConnectPtr conn;
  virDomainPtr base, clone;
  virStoragePoolPtr pool;

  if (argc != 7)
    {
      fputs ("usage: bare-clone FLAGS BASE DOMAIN-XML POOL VOLUME-XML METADATA-XML\n", stderr);
      return 2;
    }
  conn = must (virConnectOpen ("qemu:///system"));
  base = must (virDomainLookupByName (conn, argv[2]));
  free (must (virDomainGetXMLDesc (base, VIR_DOMAIN_XML_INACTIVE)));
  pool = must (virStoragePoolLookupByName (conn, argv[4]));
  clone = must (virDomainDefineXMLFlags (conn, read_file (argv[3], text), (unsigned) atoi (argv[1])));
  virStorageVolFree (must (virStorageVolCreateXML (pool, read_file (argv[5], text), 0)));
  if (virDomainSetMetadata (clone, VIR_DOMAIN_METADATA_ELEMENT, read_file (argv[6], text), "ramet", "urn:ramet:1",
                            VIR_DOMAIN_AFFECT_CONFIG) < 0)
    return 1;
  virDomainFree (clone);
  virDomainFree (base);
  virStoragePoolFree (pool);
  virConnectClose (conn);
  return 0;
}
