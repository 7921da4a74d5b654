/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/domain.h"

#include <libvirt/libvirt-qemu.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "host/libvirt/connection-private.h"
#include "model/agent.h"
#include "model/domain.h"
#include "model/xml.h"

#define AGENT_PATIENCE_S 5

struct _RametDomain
{
  gatomicrefcount references;
  RametConnection *connection;
  virDomainPtr domain;
  char *name; /* virDomainGetName() forgets libvirt's last error, which messages with the name in them want to tell */
};

/** ramet_domain_wrap: takes @ptr */
RametDomain *
ramet_domain_wrap (RametConnection *connection, virDomainPtr ptr)
{
  RametDomain *domain = g_new0 (RametDomain, 1);
  const char *name = virDomainGetName (ptr);

  g_atomic_ref_count_init (&domain->references);
  domain->connection = ramet_connection_ref (connection);
  domain->domain = ptr;
  domain->name = g_strdup (name ? name : "");
  return domain;
}

RametDomain *
ramet_domain_ref (RametDomain *domain)
{
  g_atomic_ref_count_inc (&domain->references);
  return domain;
}

void
ramet_domain_unref (RametDomain *domain)
{
  if (!g_atomic_ref_count_dec (&domain->references))
    return;
  virDomainFree (domain->domain);
  ramet_connection_unref (domain->connection);
  g_free (domain->name);
  g_free (domain);
}

/** ramet_domain_reattach: finds it again by its UUID if its connection was revived since it was looked up */
gboolean
ramet_domain_reattach (RametDomain *domain, GError **error)
{
  virConnectPtr conn = ramet_connection_get (domain->connection);
  unsigned char uuid[VIR_UUID_BUFLEN];
  virDomainPtr found;

  if (virDomainGetConnect (domain->domain) == conn)
    return TRUE;
  found = virDomainGetUUID (domain->domain, uuid) == 0 ? virDomainLookupByUUID (conn, uuid) : NULL;
  if (found == NULL)
    {
      ramet_libvirt_error (error, "cannot find '%s' again", ramet_domain_get_name (domain));
      return FALSE;
    }
  virDomainFree (domain->domain);
  domain->domain = found;
  return TRUE;
}

/** ramet_domain_get: (transfer none) */
virDomainPtr
ramet_domain_get (RametDomain *domain)
{
  return domain->domain;
}

/** ramet_domain_get_name: (transfer none) */
const char *
ramet_domain_get_name (RametDomain *domain)
{
  return domain->name;
}

/** ramet_domain_get_connection: (transfer none) */
RametConnection *
ramet_domain_get_connection (RametDomain *domain)
{
  return domain->connection;
}

/** ramet_domain_get_uuid: (transfer full) */
char *
ramet_domain_get_uuid (RametDomain *domain)
{
  char uuid[VIR_UUID_STRING_BUFLEN] = "";

  virDomainGetUUIDString (domain->domain, uuid);
  return g_strdup (uuid);
}

/** ramet_domain_name_nearest: (transfer full) (nullable): that of a domain which @typed was meant to be, most likely */
char *
ramet_domain_name_nearest (RametConnection *connection, const char *typed)
{
  g_autoptr (GPtrArray) domains = ramet_domain_list (connection, NULL);
  g_autoptr (GPtrArray) names = g_ptr_array_new ();

  for (guint i = 0; domains && i < domains->len; i++)
    g_ptr_array_add (names, (gpointer) ramet_domain_get_name (g_ptr_array_index (domains, i)));
  g_ptr_array_add (names, NULL);
  return g_strdup (ramet_text_nearest (typed, (const char *const *) names->pdata));
}

static void
set_not_there (RametConnection *connection, const char *name, GError **error)
{
  g_autofree char *nearest = error ? ramet_domain_name_nearest (connection, name) : NULL;

  ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "there is no VM '%s'", name);
  if (nearest)
    ramet_error_hint (error, "did you mean '%s'? 'ramet list --all' shows what there is", nearest);
  else
    ramet_error_hint (error, "'ramet list --all' shows what there is");
}

/** ramet_domain_lookup: (transfer full): @error is RAMET_ERROR_NOT_FOUND if there is no such domain */
RametDomain *
ramet_domain_lookup (RametConnection *connection, const char *name, GError **error)
{
  virDomainPtr ptr = virDomainLookupByName (ramet_connection_get (connection), name);
  const virError *why = ptr ? NULL : virGetLastError ();

  if (ptr)
    return ramet_domain_wrap (connection, ptr);
  if (why && why->code == VIR_ERR_NO_DOMAIN)
    set_not_there (connection, name, error);
  else
    ramet_libvirt_error (error, "cannot look for '%s'", name);
  return NULL;
}

/** ramet_domain_exists: whether a domain of that name is defined or running */
gboolean
ramet_domain_exists (RametConnection *connection, const char *name)
{
  g_autoptr (RametDomain) domain = ramet_domain_lookup (connection, name, NULL);

  return domain != NULL;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return g_strcmp0 (ramet_domain_get_name (*(RametDomain **) a), ramet_domain_get_name (*(RametDomain **) b));
}

/** ramet_domain_list: (transfer full) (element-type RametDomain): all, by name */
GPtrArray *
ramet_domain_list (RametConnection *connection, GError **error)
{
  virDomainPtr *found = NULL;
  int n = virConnectListAllDomains (ramet_connection_get (connection), &found, 0);
  GPtrArray *domains;

  if (n < 0)
    {
      ramet_libvirt_error (error, "cannot list the VMs");
      return NULL;
    }
  domains = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_domain_unref);
  for (int i = 0; i < n; i++)
    g_ptr_array_add (domains, ramet_domain_wrap (connection, found[i]));
  free (found);
  g_ptr_array_sort (domains, compare_names);
  return domains;
}

/**
 * ramet_domain_define:
 * @xml: validated against libvirt's schema, so that nothing in it is lost silently
 * @error: RAMET_ERROR_STATE if the name or UUID is taken
 *
 * libvirt would redefine a domain of the same name and UUID; ours are always new, so of many who define one name at
 * once exactly one wins.
 */
RametDomain *
ramet_domain_define (RametConnection *connection, const char *xml, GError **error)
{
  virDomainPtr ptr = virDomainDefineXMLFlags (ramet_connection_get (connection), xml, VIR_DOMAIN_DEFINE_VALIDATE);

  if (ptr)
    return ramet_domain_wrap (connection, ptr);
  ramet_libvirt_error (error, "libvirt does not take the definition");
  return NULL;
}

static char *
get_xml (RametDomain *domain, guint flags, GError **error)
{
  char *xml = virDomainGetXMLDesc (domain->domain, flags);
  char *copy;

  if (xml == NULL)
    {
      ramet_libvirt_error (error, "cannot read the definition of '%s'", ramet_domain_get_name (domain));
      return NULL;
    }
  copy = g_strdup (xml);
  free (xml);
  return copy;
}

/** ramet_domain_get_xml: (transfer full): without passwords; @inactive: as it will be at the next start */
char *
ramet_domain_get_xml (RametDomain *domain, gboolean inactive, GError **error)
{
  return get_xml (domain, inactive ? VIR_DOMAIN_XML_INACTIVE : 0, error);
}

/** ramet_domain_get_definition: (transfer full): as it will be at the next start, passwords among it */
char *
ramet_domain_get_definition (RametDomain *domain, GError **error)
{
  return get_xml (domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE, error);
}

gboolean
ramet_domain_get_run (RametDomain *domain, RametRun *ret_run, GError **error)
{
  int state;
  int reason;

  if (virDomainGetState (domain->domain, &state, &reason, 0) < 0)
    {
      ramet_libvirt_error (error, "cannot ask for the state of '%s'", ramet_domain_get_name (domain));
      return FALSE;
    }
  switch (state)
    {
    case VIR_DOMAIN_PAUSED:
    case VIR_DOMAIN_PMSUSPENDED:
      *ret_run = RAMET_RUN_PAUSED;
      break;
    case VIR_DOMAIN_SHUTDOWN:
      *ret_run = RAMET_RUN_STOPPING;
      break;
    case VIR_DOMAIN_CRASHED:
      *ret_run = RAMET_RUN_CRASHED;
      break;
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
      *ret_run = RAMET_RUN_RUNNING;
      break;
    default:
      *ret_run = virDomainHasManagedSaveImage (domain->domain, 0) == 1 ? RAMET_RUN_SAVED : RAMET_RUN_OFF;
    }
  return TRUE;
}

/** ramet_run_name: (transfer none): the word that people and JSON read */
const char *
ramet_run_name (RametRun run)
{
  static const char *const names[] = { "off", "saved", "running", "paused", "stopping", "crashed" };

  return names[run];
}

/**
 * ramet_domain_get_metadata:
 * @ret_metadata: (out): %NULL if the domain is none of ours
 * @error: our element is there and cannot be read
 */
gboolean
ramet_domain_get_metadata (RametDomain *domain, RametMetadata **ret_metadata, GError **error)
{
  g_autofree char *xml = virDomainGetMetadata (domain->domain, VIR_DOMAIN_METADATA_ELEMENT, RAMET_METADATA_URI, 0);
  const virError *why = xml ? NULL : virGetLastError ();

  if (why && why->code == VIR_ERR_NO_DOMAIN_METADATA)
    {
      *ret_metadata = NULL;
      return TRUE;
    }
  if (xml == NULL)
    {
      ramet_libvirt_error (error, "cannot read the metadata of '%s'", ramet_domain_get_name (domain));
      return FALSE;
    }
  *ret_metadata = ramet_metadata_parse (xml, error);
  g_prefix_error (error, "'%s': ", ramet_domain_get_name (domain));
  return *ret_metadata != NULL;
}

/** ramet_domain_set_metadata: in the definition and, if it runs, in the running domain */
gboolean
ramet_domain_set_metadata (RametDomain *domain, const RametMetadata *metadata, GError **error)
{
  g_autofree char *xml = ramet_metadata_to_xml (metadata);
  unsigned flags = VIR_DOMAIN_AFFECT_CONFIG;

  if (virDomainIsActive (domain->domain) == 1)
    flags |= VIR_DOMAIN_AFFECT_LIVE;
  if (virDomainSetMetadata (domain->domain, VIR_DOMAIN_METADATA_ELEMENT, xml, RAMET_METADATA_PREFIX,
                            RAMET_METADATA_URI, flags) < 0)
    {
      ramet_libvirt_error (error, "cannot write the metadata of '%s'", ramet_domain_get_name (domain));
      return FALSE;
    }
  return TRUE;
}

gboolean
ramet_domain_get_autostart (RametDomain *domain)
{
  int autostart = 0;

  return virDomainGetAutostart (domain->domain, &autostart) == 0 && autostart;
}

/* What most of libvirt's calls on a domain need: "cannot WHAT 'NAME': REASON". */
static gboolean
check (RametDomain *domain, int result, const char *what, GError **error)
{
  if (result < 0)
    ramet_libvirt_error (error, "cannot %s '%s'", what, ramet_domain_get_name (domain));
  return result >= 0;
}

gboolean
ramet_domain_set_autostart (RametDomain *domain, gboolean autostart, GError **error)
{
  return check (domain, virDomainSetAutostart (domain->domain, autostart), "set the autostart of", error);
}

gboolean
ramet_domain_start (RametDomain *domain, GError **error)
{
  return check (domain, virDomainCreate (domain->domain), "start", error);
}

/** ramet_domain_ask_off: asks the guest by ACPI, or as libvirt sees fit, which waits for its agent; it may never do it */
gboolean
ramet_domain_ask_off (RametDomain *domain, gboolean by_acpi, GError **error)
{
  int status = by_acpi ? virDomainShutdownFlags (domain->domain, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)
                       : virDomainShutdown (domain->domain);

  return check (domain, status, "ask the guest to shut down:", error);
}

/** ramet_domain_destroy: pulls the plug; a domain that is off already is fine */
gboolean
ramet_domain_destroy (RametDomain *domain, GError **error)
{
  if (virDomainIsActive (domain->domain) == 0)
    return TRUE;
  if (virDomainDestroy (domain->domain) < 0 && virDomainIsActive (domain->domain) != 0)
    return check (domain, -1, "switch off", error);
  return TRUE;
}

gboolean
ramet_domain_suspend (RametDomain *domain, GError **error)
{
  return check (domain, virDomainSuspend (domain->domain), "pause", error);
}

gboolean
ramet_domain_resume (RametDomain *domain, GError **error)
{
  return check (domain, virDomainResume (domain->domain), "resume", error);
}

/**
 * ramet_domain_save:
 * @error: RAMET_ERROR_STATE if the guest has a share mounted still
 *
 * Saves its memory beside its disks and ends it; the next start takes it up again, running, even if it is paused now.
 */
gboolean
ramet_domain_save (RametDomain *domain, GError **error)
{
  const virError *why;

  if (virDomainManagedSave (domain->domain, VIR_DOMAIN_SAVE_RUNNING) == 0)
    return TRUE;
  why = virGetLastError ();
  if (why == NULL || why->message == NULL || strstr (why->message, "VirtFS") == NULL)
    return check (domain, -1, "save the memory of", error);
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot save the memory of '%s': a share is still mounted in it", domain->name);
  ramet_error_hint (error, "a container in it may hold it, or it is mounted twice: look at /proc/*/mounts there");
  return FALSE;
}

/** ramet_domain_save_to: blocks; its memory is in a new file, root's alone, at @path on libvirtd's host, and it is off */
gboolean
ramet_domain_save_to (RametDomain *domain, const char *path, GError **error)
{
  return check (domain, virDomainSaveFlags (domain->domain, path, NULL, VIR_DOMAIN_SAVE_RUNNING), "save the memory of", error);
}

/** ramet_domain_abort_job: what saves its memory in another thread gives up */
gboolean
ramet_domain_abort_job (RametDomain *domain, GError **error)
{
  return check (domain, virDomainAbortJob (domain->domain), "stop what is being done to", error);
}

/** ramet_domain_drop_saved: its saved memory, whole or cut off; that there is none is fine */
gboolean
ramet_domain_drop_saved (RametDomain *domain, GError **error)
{
  return virDomainHasManagedSaveImage (domain->domain, 0) != 1 ||
         check (domain, virDomainManagedSaveRemove (domain->domain, 0), "delete the saved memory of", error);
}

/**
 * ramet_domain_undefine:
 *
 * Managed save image and snapshots' metadata go too. The file that <nvram> names is left: ramet's own are among the
 * volumes it made, and anybody else's are not its to delete.
 */
gboolean
ramet_domain_undefine (RametDomain *domain, GError **error)
{
  return check (domain,
                virDomainUndefineFlags (domain->domain, VIR_DOMAIN_UNDEFINE_MANAGED_SAVE |
                                                          VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                                                          VIR_DOMAIN_UNDEFINE_KEEP_NVRAM |
                                                          VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA),
                "undefine", error);
}

gboolean
ramet_domain_has_snapshots (RametDomain *domain)
{
  return virDomainSnapshotNum (domain->domain, 0) > 0;
}

/* The interfaces of the definition, each with another link state. */
static gboolean
update_link (RametDomain *domain, xmlNode *interface, gboolean up, GError **error)
{
  g_autoptr (xmlDoc) doc = xmlNewDoc ((const xmlChar *) "1.0");
  g_autofree char *xml = NULL;
  xmlNode *copy = xmlDocCopyNode (interface, doc, 1);

  xmlDocSetRootElement (doc, copy);
  ramet_xml_drop_children (copy, "link");
  ramet_xml_set (ramet_xml_add (copy, "link", NULL), "state", up ? "up" : "down");
  xml = ramet_xml_dump (doc);
  return check (domain,
                virDomainUpdateDeviceFlags (domain->domain, xml, VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG),
                "set the network links of", error);
}

/** ramet_domain_set_links: plugs the cables of a running domain in or out, for its next starts too */
gboolean
ramet_domain_set_links (RametDomain *domain, gboolean up, GError **error)
{
  g_autofree char *xml = ramet_domain_get_xml (domain, TRUE, error);
  g_autoptr (xmlDoc) doc = xml ? ramet_xml_parse (xml, "domain", error) : NULL;
  xmlNode *devices;

  if (doc == NULL)
    return FALSE;
  devices = ramet_xml_first (xmlDocGetRootElement (doc), "devices");
  for (xmlNode *node = ramet_xml_first (devices, "interface"); node; node = ramet_xml_next (node, "interface"))
    if (!update_link (domain, node, up, error))
      return FALSE;
  return TRUE;
}

static char *
first_ipv4 (virDomainInterfacePtr *interfaces, int n, GHashTable *macs)
{
  for (int i = 0; i < n; i++)
    {
      g_autofree char *mac = interfaces[i]->hwaddr ? g_ascii_strdown (interfaces[i]->hwaddr, -1) : NULL;

      if (mac == NULL || !g_hash_table_contains (macs, mac))
        continue;
      for (unsigned j = 0; j < interfaces[i]->naddrs; j++)
        if (interfaces[i]->addrs[j].type == VIR_IP_ADDR_TYPE_IPV4 &&
            !g_str_has_prefix (interfaces[i]->addrs[j].addr, "169.254."))
          return g_strdup (interfaces[i]->addrs[j].addr);
    }
  return NULL;
}

/* libvirt's own call for this waits for good if the agent does not answer, and nobody has to believe what it tells. */
static char *
ask_agent (RametDomain *domain, GHashTable *macs)
{
  g_autofree char *command = ramet_agent_command_plain ("guest-network-get-interfaces");
  g_autofree char *answer = virDomainQemuAgentCommand (domain->domain, command, AGENT_PATIENCE_S, 0);

  return answer ? ramet_agent_parse_ipv4 (answer, macs) : NULL;
}

static gboolean
is_ours (RametDomain *domain)
{
  g_autoptr (RametMetadata) metadata = NULL;

  return ramet_domain_get_metadata (domain, &metadata, NULL) && metadata;
}

/**
 * ramet_domain_get_lease:
 *
 * Returns: (transfer full) (nullable): the IPv4 address that libvirt's network has leased to one of the domain's MACs;
 * else, for networks that libvirt does not serve, what the guest agent tells within some seconds, if the domain is one of
 * ours: libvirt marks a domain whose agent was asked as tainted
 */
char *
ramet_domain_get_lease (RametDomain *domain)
{
  g_autofree char *xml = ramet_domain_get_xml (domain, FALSE, NULL);
  g_autoptr (GHashTable) macs = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  virDomainInterfacePtr *interfaces = NULL;
  char *address;
  int n;

  if (xml == NULL || !ramet_domain_xml_collect_macs (xml, macs))
    return NULL;
  n = virDomainInterfaceAddresses (domain->domain, &interfaces, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, 0);
  address = n > 0 ? first_ipv4 (interfaces, n, macs) : NULL;
  for (int i = 0; i < n; i++)
    virDomainInterfaceFree (interfaces[i]);
  free (interfaces);
  return address == NULL && is_ours (domain) ? ask_agent (domain, macs) : address;
}

/** ramet_domain_get_disk_size: what the guest sees as the size of the disk @target */
gboolean
ramet_domain_get_disk_size (RametDomain *domain, const char *target, guint64 *ret_bytes, GError **error)
{
  virDomainBlockInfo info;

  if (!check (domain, virDomainGetBlockInfo (domain->domain, target, &info, 0), "look at a disk of", error))
    return FALSE;
  *ret_bytes = info.capacity;
  return TRUE;
}

/** ramet_domain_grow_disk: that of a running domain; its guest sees it at once */
gboolean
ramet_domain_grow_disk (RametDomain *domain, const char *target, guint64 bytes, GError **error)
{
  return check (domain, virDomainBlockResize (domain->domain, target, bytes, VIR_DOMAIN_BLOCK_RESIZE_BYTES),
                "grow a disk of", error);
}
