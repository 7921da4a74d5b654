/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"
#include "host/guest/console.h"
#include "host/guest/way.h"
#include "host/libvirt/domain.h"

RametWay *ramet_agent_way_new (RametDomain *domain, RametTask *task, RametConsole *console);
