/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/folder-pools.h"
#include "operations/doctor-private.h"

static void
diagnose_stray_pool (RametDoctor *doctor, const RametFolderPoolInfo *pool)
{
  RametDiagnosis *found = ramet_doctor_find (doctor, RAMET_SEVERITY_WARNING, pool->name,
                                             "the storage pool '%s' was left behind by a ramet that was cut off",
                                             pool->name);
  g_autoptr (GError) why = NULL;

  ramet_diagnosis_explain (found, "it shows a folder that is no pool of yours; no file is touched when it ends",
                           "'ramet doctor --fix' or 'virsh pool-destroy %s' ends it", pool->name);
  if (!doctor->fix)
    return;
  if (ramet_folder_pools_end (doctor->connection, pool->name, &why))
    ramet_diagnosis_mended (found, "ended the pool '%s'", pool->name);
  else
    ramet_task_warn (doctor->task, "%s", why->message);
}

/** ramet_doctor_check_stray_pools: transient pools over a folder, which last for a moment unless ramet is killed in it */
gboolean
ramet_doctor_check_stray_pools (RametDoctor *doctor, GError **error)
{
  g_autoptr (GPtrArray) pools = ramet_folder_pools_list (doctor->connection, error);

  for (guint i = 0; pools && i < pools->len; i++)
    {
      const RametFolderPoolInfo *pool = g_ptr_array_index (pools, i);
      RametDiagnosis *found;

      if (pool->worker == RAMET_WORKER_GONE)
        diagnose_stray_pool (doctor, pool);
      else if (pool->worker != RAMET_WORKER_AT_WORK)
        {
          found = ramet_doctor_find (doctor, RAMET_SEVERITY_NOTE, pool->name,
                                     "the storage pool '%s' is a ramet's; whether that is still at work cannot be seen "
                                     "from here", pool->name);
          ramet_diagnosis_explain (found, "such a pool lasts for a moment only; no file is touched when it ends",
                                   "if it is here in a minute too: 'virsh pool-destroy %s'", pool->name);
        }
    }
  return pools != NULL;
}
