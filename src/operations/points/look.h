/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "operations/points/points.h"

/* What was done to a VM's points on the side, by virsh or by hand. */

gboolean ramet_points_look (RametPointVm *pvm, GError **error);
void ramet_point_disk_free (gpointer disk);
