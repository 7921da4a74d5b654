/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <unistd.h>

#include "host/avahi.h"
#include "host/firewall.h"
#include "host/libvirt/network.h"
#include "host/resolver.h"
#include "model/host-files.h"
#include "model/xml.h"
#include "operations/doctor/private.h"

#define DEFAULT_NETWORK "default"
#define NAME_PATIENCE_US (1500 * G_TIME_SPAN_MILLISECOND)
#define AVAHI_CONF "/etc/avahi/avahi-daemon.conf"

/* Who needs a network. */
typedef struct
{
  guint n_ours;
  char *autostarted; /* one of ours that starts with the host, or NULL */
} Users;

static void
users_free (gpointer data)
{
  Users *users = data;

  g_free (users->autostarted);
  g_free (users);
}

static Users *
users_of (GHashTable *networks, const char *name)
{
  Users *users = g_hash_table_lookup (networks, name);

  if (users == NULL)
    {
      users = g_new0 (Users, 1);
      g_hash_table_insert (networks, g_strdup (name), users);
    }
  return users;
}

static void
add_networks_of (GHashTable *networks, const RametPatient *patient)
{
  g_autoptr (xmlDoc) doc = ramet_xml_parse (patient->xml, "domain", NULL);
  xmlNode *devices = doc ? ramet_xml_first (xmlDocGetRootElement (doc), "devices") : NULL;

  for (xmlNode *node = devices ? ramet_xml_first (devices, "interface") : NULL; node; node = ramet_xml_next (node, "interface"))
    {
      g_autofree char *network = ramet_xml_get (ramet_xml_first (node, "source"), "network");
      Users *users = network && ramet_xml_has (node, "type", "network") ? users_of (networks, network) : NULL;

      if (users == NULL)
        continue;
      users->n_ours++;
      if (users->autostarted == NULL && ramet_domain_get_autostart (patient->vm->domain))
        users->autostarted = g_strdup (ramet_vm_get_name (patient->vm));
    }
}

/* (transfer full): name → Users: what our VMs are on, and what the next base would be */
static GHashTable *
name_networks (RametDoctor *doctor)
{
  GHashTable *networks = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, users_free);

  users_of (networks, DEFAULT_NETWORK);
  for (guint i = 0; i < doctor->patients->len; i++)
    if (ramet_patient_is_ours (g_ptr_array_index (doctor->patients, i)))
      add_networks_of (networks, g_ptr_array_index (doctor->patients, i));
  return networks;
}

static gboolean
look_at_network (RametDoctor *doctor, const char *name, const Users *users, GError **error)
{
  RametSeverity severity = users->n_ours > 0 ? RAMET_SEVERITY_ERROR : RAMET_SEVERITY_WARNING;
  g_auto (RametNetwork) network = { 0 };
  g_autoptr (GError) why = NULL;
  RametDiagnosis *found;

  if (!ramet_network_look (doctor->connection, name, &network, &why))
    {
      if (!g_error_matches (why, RAMET_ERROR, RAMET_ERROR_NOT_FOUND))
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
      found = ramet_doctor_find (doctor, severity, name, "there is no network '%s'", name);
      ramet_diagnosis_explain (found, "VMs on it do not start", "'virsh net-list --all' shows what there is; 'virsh "
                               "net-define /usr/share/libvirt/networks/default.xml' brings the usual one back%s", "");
      return TRUE;
    }
  if (!network.active)
    {
      found = ramet_doctor_find (doctor, severity, name, "the network '%s' is not active", name);
      ramet_diagnosis_explain (found, "VMs on it do not start", "'virsh net-start %s'", name);
    }
  if (network.autostart)
    return TRUE;
  found = users->autostarted
            ? ramet_doctor_find (doctor, RAMET_SEVERITY_WARNING, name, "the network '%s' does not start with the host, but "
                                 "'%s', which is on it, should", name, users->autostarted)
            : ramet_doctor_find (doctor, RAMET_SEVERITY_WARNING, name, "the network '%s' does not start with the host", name);
  ramet_diagnosis_explain (found, "after the next restart VMs on it do not start", "'virsh net-autostart %s'", name);
  return TRUE;
}

/** ramet_doctor_check_networks: those that our VMs are on, and 'default' */
gboolean
ramet_doctor_check_networks (RametDoctor *doctor, GError **error)
{
  g_autoptr (GHashTable) networks = name_networks (doctor);
  GHashTableIter iter;
  gpointer name;
  gpointer users;

  g_hash_table_iter_init (&iter, networks);
  while (g_hash_table_iter_next (&iter, &name, &users))
    if (!look_at_network (doctor, name, users, error))
      return FALSE;
  return TRUE;
}

/* (transfer full) (element-type utf8): where our guests' multicast DNS comes in */
static GPtrArray *
list_bridges (RametDoctor *doctor)
{
  GPtrArray *bridges = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GHashTable) networks = name_networks (doctor);
  GHashTableIter iter;
  gpointer name;

  g_hash_table_iter_init (&iter, networks);
  while (doctor->connection && g_hash_table_iter_next (&iter, &name, NULL))
    {
      g_auto (RametNetwork) network = { 0 };

      if (ramet_network_look (doctor->connection, name, &network, NULL) && network.active && network.bridge)
        g_ptr_array_add (bridges, g_steal_pointer (&network.bridge));
    }
  return bridges;
}

/* What all that keeps names from being answered comes to. */
static void
explain_names (RametDiagnosis *found, const char *remedy)
{
  ramet_diagnosis_explain (found, "NAME.local is not answered on this host; 'ramet ssh' falls back on DHCP leases, other "
                                  "programs do not", "%s", remedy);
}

static void
look_at_conf (RametDoctor *doctor, GPtrArray *bridges)
{
  g_autofree char *conf = NULL;

  if (!g_file_get_contents (AVAHI_CONF, &conf, NULL, NULL))
    return;
  for (guint i = 0; i < bridges->len; i++)
    {
      const char *bridge = g_ptr_array_index (bridges, i);
      g_autofree char *why_not = NULL;

      if (ramet_avahi_conf_serves (conf, bridge, &why_not))
        continue;
      explain_names (ramet_doctor_find (doctor, RAMET_SEVERITY_WARNING, bridge, "avahi-daemon is told to leave out the "
                                        "bridge '%s' of the VMs: %s", bridge, why_not),
                     "change it in " AVAHI_CONF ", then 'sudo systemctl restart avahi-daemon'");
    }
}

/** ramet_doctor_check_avahi: whether it runs, and where the VMs are */
gboolean
ramet_doctor_check_avahi (RametDoctor *doctor, GError **error)
{
  g_autoptr (GPtrArray) bridges = list_bridges (doctor);
  g_autoptr (GError) why = NULL;
  gboolean shares = TRUE;
  gint pid = 0;

  if (!ramet_avahi_find_daemon (&pid, &why))
    {
      explain_names (ramet_doctor_find (doctor, RAMET_SEVERITY_WARNING, NULL, "%s", why->message),
                     "'sudo systemctl enable --now avahi-daemon' (package avahi-daemon)");
      return TRUE;
    }
  look_at_conf (doctor, bridges);
  if (!ramet_avahi_shares_our_network (pid, &shares, error))
    return FALSE;
  if (!shares)
    explain_names (ramet_doctor_find (doctor, RAMET_SEVERITY_WARNING, NULL, "avahi-daemon runs in another network namespace "
                                      "than this"), "run it where the bridge of the VMs is, outside of containers");
  return TRUE;
}

static void
diagnose_firewall (RametDoctor *doctor, const char *bridge, const char *rule)
{
  RametDiagnosis *found = ramet_doctor_find (doctor, RAMET_SEVERITY_WARNING, bridge,
                                             "the firewall drops multicast DNS on '%s': %s", bridge, rule);
  g_autofree char *remedy = NULL;

  if (ramet_firewall_has_program ("firewall-cmd"))
    remedy = g_strdup ("'sudo firewall-cmd --permanent --zone=libvirt --add-service=mdns', 'sudo firewall-cmd --reload'");
  else if (ramet_firewall_has_program ("ufw"))
    remedy = g_strdup_printf ("'sudo ufw allow in on %s to any port 5353 proto udp'", bridge);
  else
    remedy = g_strdup_printf ("let UDP port 5353 in and out on %s: 'sudo iptables -I INPUT -i %s -p udp --dport 5353 -j "
                              "ACCEPT', 'sudo iptables -I OUTPUT -o %s -p udp --dport 5353 -j ACCEPT'", bridge, bridge,
                              bridge);
  explain_names (found, remedy);
}

/** ramet_doctor_check_firewall: only what is in the way for certain */
gboolean
ramet_doctor_check_firewall (RametDoctor *doctor, GError **error)
{
  g_autoptr (GPtrArray) bridges = list_bridges (doctor);

  for (guint i = 0; i < bridges->len; i++)
    {
      g_autofree char *rule = NULL;

      if (!ramet_firewall_blocks_mdns (doctor->task, g_ptr_array_index (bridges, i), &rule, error))
        return FALSE;
      if (rule)
        diagnose_firewall (doctor, g_ptr_array_index (bridges, i), rule);
    }
  return TRUE;
}

/** ramet_doctor_check_nsswitch: whether programs of this host look up NAME.local at all */
gboolean
ramet_doctor_check_nsswitch (RametDoctor *doctor, GError **error)
{
  g_autofree char *text = NULL;
  RametDiagnosis *found;

  if (!g_file_get_contents ("/etc/nsswitch.conf", &text, NULL, error))
    return FALSE;
  if (ramet_nsswitch_knows_mdns (text))
    return TRUE;
  found = ramet_doctor_find (doctor, RAMET_SEVERITY_NOTE, NULL, "programs of this host do not look up NAME.local: "
                             "/etc/nsswitch.conf names no mdns");
  ramet_diagnosis_explain (found, "browsers and curl do not find VMs by name; ssh does with what 'ramet ssh-config' prints",
                           "'sudo apt install libnss-mdns'; or 'ramet ssh-config >> ~/.ssh/config', for ssh alone%s", "");
  return TRUE;
}

static gboolean
look_at_name (RametDoctor *doctor, const RametVm *vm, GError **error)
{
  const char *name = ramet_vm_get_name (vm);
  g_autofree char *host_name = ramet_vm_host_name (name);
  g_autofree char *leased = ramet_domain_get_lease (vm->domain);
  g_autofree char *named = NULL;
  g_autoptr (GError) why = NULL;
  RametDiagnosis *found;

  if (leased == NULL ||
      (!ramet_resolver_resolve (doctor->task, host_name, NULL, g_get_monotonic_time () + NAME_PATIENCE_US, &named, &why) &&
       g_error_matches (why, RAMET_ERROR, RAMET_ERROR_TIMEOUT)))
    {
      ramet_task_note (doctor->task, "'%s' %s", name, leased ? "is not answered by name" : "has no address");
      return TRUE;
    }
  if (why)
    {
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  if (g_str_equal (named, leased))
    return TRUE;
  found = ramet_doctor_find (doctor, RAMET_SEVERITY_ERROR, name, "'%s' is answered by %s, but '%s' has %s", host_name, named,
                             name, leased);
  ramet_diagnosis_explain (found, "another machine on the link has taken the name, so programs reach that one; 'ramet ssh' "
                                  "is not deceived, it knows the address and the host key",
                           "give the other machine another name, then restart avahi in the VM: 'ramet ssh %s -- sudo "
                           "systemctl restart avahi-daemon'", name);
  return TRUE;
}

/** ramet_doctor_check_names: whether the names of running VMs lead to them */
gboolean
ramet_doctor_check_names (RametDoctor *doctor, GError **error)
{
  for (guint i = 0; i < doctor->patients->len; i++)
    {
      const RametVm *vm = ((RametPatient *) g_ptr_array_index (doctor->patients, i))->vm;

      if (ramet_vm_get_state (vm) == RAMET_STATE_READY && vm->run == RAMET_RUN_RUNNING && !look_at_name (doctor, vm, error))
        return FALSE;
    }
  return TRUE;
}
