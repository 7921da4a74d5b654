/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/libvirt/domain.h"

/* Tells when a running domain is no longer the machine that it was. */
typedef struct _RametDomainWatch RametDomainWatch;

RametDomainWatch *ramet_domain_watch_new (RametDomain *domain, GError **error);
void ramet_domain_watch_free (RametDomainWatch *watch);
gboolean ramet_domain_watch_check (RametDomainWatch *watch, gboolean may_reboot, GError **error);
gboolean ramet_domain_watch_ended (RametDomainWatch *watch);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametDomainWatch, ramet_domain_watch_free)
