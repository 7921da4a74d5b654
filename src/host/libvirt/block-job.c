/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/block-job.h"

#include "core/stop.h"
#include "host/libvirt/connection-private.h"
#include "model/chain.h"

#define POLL_MS 100
#define END_PATIENCE_S 20
#define PIVOT_PATIENCE_S 60

static gboolean
has_file (RametDomain *domain, const char *target, const char *path, gboolean *ret_has, GError **error)
{
  g_autofree char *xml = ramet_domain_get_xml (domain, FALSE, error);
  g_autoptr (GPtrArray) files = xml ? ramet_chain_read (xml, target, error) : NULL;

  if (files == NULL)
    return FALSE;
  *ret_has = g_ptr_array_find_with_equal_func (files, path, g_str_equal, NULL);
  return TRUE;
}

/* The job is gone, and whether it was done the disk's chain tells: @gone is in it no more. */
static gboolean
check_done (RametDomain *domain, const char *target, const char *gone, GError **error)
{
  gboolean has = FALSE;

  if (!has_file (domain, target, gone, &has, error))
    return FALSE;
  if (!has)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_FAILED, "the layers of disk '%s' of '%s' could not be merged", target,
                   ramet_domain_get_name (domain));
  ramet_error_hint (error, "is the disk full? libvirt's log of the VM tells more: /var/log/libvirt/qemu/%s.log",
                    ramet_domain_get_name (domain));
  return FALSE;
}

static void
show_progress (RametTask *task, const virDomainBlockJobInfo *info)
{
  g_autofree char *status = NULL;

  if (info->end == 0)
    return;
  status = g_strdup_printf ("%" G_GUINT64_FORMAT " %%", (guint64) (info->cur * 100.0 / info->end));
  ramet_task_status (task, status);
}

/* Ends the job, and tells whether it was done by then: @gone is in the chain no more, and nothing can be taken back. */
static gboolean
end_job (RametDomain *domain, const char *target, const char *gone)
{
  virDomainPtr ptr = ramet_domain_get (domain);
  gint64 deadline_us = g_get_monotonic_time () + END_PATIENCE_S * G_USEC_PER_SEC;
  virDomainBlockJobInfo info;
  gboolean has = TRUE;

  /* refused if QEMU has just done it, of which libvirt may hear later */
  virDomainBlockJobAbort (ptr, target, 0);
  while (virDomainGetBlockJobInfo (ptr, target, &info, 0) > 0 && g_get_monotonic_time () < deadline_us)
    g_usleep (POLL_MS * 1000);
  return has_file (domain, target, gone, &has, NULL) && !has;
}

/* Ctrl-C ends the job; what the guest sees is then as before. It may come too late: then the job is done. */
static gboolean
wait_for_job (RametDomain *domain, RametTask *task, const char *target, const char *gone, GError **error)
{
  g_autoptr (GError) why = NULL;

  while (ramet_task_check (task, &why))
    {
      virDomainBlockJobInfo info;
      int running = virDomainGetBlockJobInfo (ramet_domain_get (domain), target, &info, 0);

      if (running < 0)
        {
          ramet_libvirt_error (&why, "cannot ask how far merging the layers of '%s' is", ramet_domain_get_name (domain));
          break;
        }
      if (running == 0)
        return check_done (domain, target, gone, error);
      show_progress (task, &info);
      ramet_task_sleep (task, POLL_MS, NULL);
    }
  if (end_job (domain, target, gone))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&why));
  return FALSE;
}

/**
 * ramet_block_pull:
 * @base: (nullable): what the disk's uppermost file shall stand on; %NULL: on nothing
 * @gone: the file between them, whose content it takes in
 */
gboolean
ramet_block_pull (RametDomain *domain, RametTask *task, const char *target, const char *base, const char *gone,
                  GError **error)
{
  virDomainPtr ptr = ramet_domain_get (domain);
  int begun = base ? virDomainBlockRebase (ptr, target, base, 0, 0) : virDomainBlockPull (ptr, target, 0, 0);

  if (begun < 0)
    {
      ramet_libvirt_error (error, "cannot merge the layers of disk '%s' of '%s'", target, ramet_domain_get_name (domain));
      return FALSE;
    }
  RAMET_STEP ("merge-begun");
  return wait_for_job (domain, task, target, gone, error);
}

/** ramet_block_commit: puts the content of @top, not the uppermost file of the disk, into @base, the one below it */
gboolean
ramet_block_commit (RametDomain *domain, RametTask *task, const char *target, const char *base, const char *top,
                    GError **error)
{
  if (virDomainBlockCommit (ramet_domain_get (domain), target, base, top, 0, 0) < 0)
    {
      ramet_libvirt_error (error, "cannot merge the layers of disk '%s' of '%s'", target, ramet_domain_get_name (domain));
      return FALSE;
    }
  RAMET_STEP ("merge-begun");
  return wait_for_job (domain, task, target, top, error);
}

/**
 * ramet_block_commit_active:
 * @base: the file below the uppermost one
 *
 * Puts the disk's uppermost file into @base, which the domain goes on with. To take back a layer that nothing was written to.
 */
gboolean
ramet_block_commit_active (RametDomain *domain, const char *target, const char *base, GError **error)
{
  virDomainPtr ptr = ramet_domain_get (domain);
  gint64 deadline_us = g_get_monotonic_time () + PIVOT_PATIENCE_S * G_USEC_PER_SEC;

  if (virDomainBlockCommit (ptr, target, base, NULL, 0, VIR_DOMAIN_BLOCK_COMMIT_ACTIVE) < 0)
    {
      ramet_libvirt_error (error, "cannot take back the new layer of disk '%s' of '%s'", target,
                           ramet_domain_get_name (domain));
      return FALSE;
    }
  /* the switch is refused until all is copied */
  while (virDomainBlockJobAbort (ptr, target, VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT) < 0)
    {
      if (g_get_monotonic_time () > deadline_us)
        {
          ramet_libvirt_error (error, "cannot take back the new layer of disk '%s' of '%s'", target,
                               ramet_domain_get_name (domain));
          virDomainBlockJobAbort (ptr, target, 0);
          return FALSE;
        }
      g_usleep (POLL_MS * 1000);
    }
  return TRUE;
}

/** ramet_block_helper_new: (transfer full): a domain that is never let run, and is gone with the connection at the latest */
RametDomain *
ramet_block_helper_new (RametConnection *connection, const char *xml, GError **error)
{
  virDomainPtr ptr = virDomainCreateXML (ramet_connection_get (connection), xml,
                                         VIR_DOMAIN_START_PAUSED | VIR_DOMAIN_START_AUTODESTROY);

  if (ptr == NULL)
    {
      ramet_libvirt_error (error, "cannot start a QEMU to merge the layers of a VM that is off");
      return NULL;
    }
  return ramet_domain_wrap (connection, ptr);
}
