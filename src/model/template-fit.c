/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/template-fit.h"

#include <string.h>

#include "core/text.h"

/* (transfer full) (nullable) */
static char *
describe_file (const char *what, const RametTemplateFile *file, const RametFingerprint *now)
{
  const RametFingerprint *then = file->print;
  const char *why = NULL;
  g_autofree char *path = ramet_text_escape (then->path, -1);

  if (now == NULL)
    why = "is gone, or is no file any more";
  else if (now->size != then->size)
    why = "has another length than it had";
  else if (now->mtime_ns != then->mtime_ns)
    why = "was written to since";
  else if (now->inode != then->inode)
    why = "was replaced by another file";
  return why ? g_strdup_printf ("its %s, '%s', %s", what, path, why) : NULL;
}

static char *
describe_version (const char *program, const char *then, const char *now)
{
  if (g_strcmp0 (then, now) == 0)
    return NULL;
  return g_strdup_printf ("it was made with %s %s, and here is %s", program, then, now ? now : "another");
}

/* Both are a model and a digest. */
static char *
describe_cpu (const char *then, const char *now)
{
  const char *digest_then = strrchr (then, ' ');
  const char *digest_now = now ? strrchr (now, ' ') : NULL;
  gsize length = digest_then ? (gsize) (digest_then - then) : strlen (then);
  gsize length_now = digest_now ? (gsize) (digest_now - now) : now ? strlen (now) : 0;

  if (g_strcmp0 (then, now) == 0)
    return NULL;
  if (length == length_now && strncmp (then, now, length) == 0)
    return g_strdup_printf ("it was made on a CPU of the same model (%.*s) that can do other things", (int) length, then);
  return g_strdup_printf ("it was made on another CPU: %.*s, and here is %.*s", (int) length, then,
                          length_now ? (int) length_now : 7, length_now ? now : "another");
}

static char *
describe_base (const RametMetadata *metadata, const RametTemplateNow *now)
{
  g_autofree char *base = ramet_text_escape (metadata->base_name ? metadata->base_name : "?", -1);

  if (now->base_definition == NULL)
    return g_strdup_printf ("its base '%s' is gone", base);
  if (now->disk_change && *now->disk_change)
    return g_strdup (now->disk_change);
  if (!g_str_equal (now->base_definition, metadata->template->definition))
    return g_strdup_printf ("the definition of its base '%s' has changed since", base);
  return NULL;
}

/**
 * ramet_template_why_stale:
 * @metadata: of a template's VM
 *
 * What holds for any clone of it, on this host, at this time. That the memory's content is what it was is not looked at: only its
 * hash tells that, which takes seconds.
 *
 * Returns: (transfer full) (nullable): why it is not to be used, in one line; %NULL if it may be
 */
char *
ramet_template_why_stale (const RametMetadata *metadata, const RametTemplateNow *now)
{
  const RametTemplate *template = metadata->template;
  char *why;

  if (metadata->state != RAMET_STATE_TEMPLATE || template == NULL)
    return g_strdup ("what was recorded of it is not whole");
  why = describe_base (metadata, now);
  if (why == NULL)
    why = describe_file ("memory", &template->memory, now->memory);
  if (why == NULL)
    why = describe_file ("saved state", &template->state, now->state);
  if (why == NULL)
    why = describe_version ("QEMU", template->qemu, now->qemu);
  if (why == NULL)
    why = describe_version ("libvirt", template->libvirt, now->libvirt);
  if (why == NULL)
    why = describe_cpu (template->host_cpu, now->host_cpu);
  return why;
}

static char *
describe_size (const RametTemplate *template, const RametTemplateWanted *wanted)
{
  g_autofree char *has = ramet_text_size (template->memory_kib * 1024);
  g_autofree char *wants = ramet_text_size (wanted->memory_kib * 1024);

  if (template->vcpus != wanted->vcpus)
    return g_strdup_printf ("it has %u CPU%s, and %u %s wanted", template->vcpus, template->vcpus == 1 ? "" : "s",
                            wanted->vcpus, wanted->vcpus == 1 ? "is" : "are");
  if (template->memory_kib != wanted->memory_kib)
    return g_strdup_printf ("it has %s of memory, and %s is wanted", has, wants);
  if (wanted->n_interfaces != 1)
    return g_strdup_printf ("it has one network interface, and %u are wanted", wanted->n_interfaces);
  if (template->n_slots < wanted->n_shares)
    return g_strdup_printf ("it has room for %u share%s, and %u are wanted", template->n_slots,
                            template->n_slots == 1 ? "" : "s", wanted->n_shares);
  if (wanted->larger_disk)
    return g_strdup ("its disk is as large as its base's, and a larger one is wanted");
  return NULL;
}

/**
 * ramet_template_why_not:
 * @metadata: of a template's VM that ramet_template_why_stale() has nothing against
 *
 * Returns: (transfer full) (nullable): why it does not fit a clone, in one line; %NULL if it does
 */
char *
ramet_template_why_not (const RametMetadata *metadata, const RametTemplateWanted *wanted)
{
  const RametTemplate *template = metadata->template;
  char *why = describe_size (template, wanted);

  if (why)
    return why;
  if (g_strcmp0 (metadata->user, wanted->user) != 0 || template->uid != wanted->uid)
    {
      g_autofree char *user = ramet_text_escape (metadata->user ? metadata->user : "?", -1);

      return g_strdup_printf ("it was made for the user '%s' with the number %u, not for '%s' with %u", user, template->uid,
                              wanted->user ? wanted->user : "?", wanted->uid);
    }
  if (g_strcmp0 (template->ssh_keys, wanted->ssh_keys) != 0)
    return g_strdup ("it lets other ssh keys in than those wanted");
  if (g_strcmp0 (metadata->setup, wanted->setup) != 0)
    return g_strdup ("it was set up with other packages or scripts than those wanted");
  if (g_strcmp0 (template->steps, wanted->steps) != 0)
    return g_strdup ("it was set up by other first-boot steps than those that there are now");
  return NULL;
}
