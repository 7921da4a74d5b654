/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/project.h"

#include <string.h>

#include "core/text.h"
#include "model/hardware.h"
#include "model/names.h"
#include "model/project-private.h"
#include "model/share.h"

/* A file being read. */
typedef struct
{
  RametProjectLines *lines;
  GKeyFile *values; /* a group "INDEX" for each section, with the keys that are known */
  RametProject *project;
  gboolean too_many; /* VMs, which was told */
} Parser;

/* A list of single words may have blanks and commas between them, too. */
typedef enum
{
  ONE,
  WORDS,
  PATHS,
} Kind;

typedef enum
{
  PROJECT = 1 << 0,
  VM = 1 << 1,
} Place;

/* A key, where it may stand, and what becomes of its value: a text at @offset if there is no function. */
typedef struct
{
  const char *key;
  Place places;
  Kind kind;
  gsize offset;
  gboolean (*check) (const char *text, GError **error); /* each word or path; or NULL */
  gboolean (*read) (RametProjectVm *vm, const char *text, GError **error);
} Row;

static gboolean
read_cpus (RametProjectVm *vm, const char *text, GError **error)
{
  if (ramet_hardware_parse_cpus ("'cpus'", text, &vm->vcpus, error))
    return TRUE;
  ramet_error_hint (error, "leave it out for as many as the base has");
  return FALSE;
}

static gboolean
read_memory (RametProjectVm *vm, const char *text, GError **error)
{
  return ramet_hardware_parse_memory (text, &vm->memory_bytes, error);
}

static gboolean
read_disk_size (RametProjectVm *vm, const char *text, GError **error)
{
  return ramet_name_parse_size (text, 1024 * 1024 * 1024, &vm->disk_bytes, error);
}

/* The name of a network or pool of libvirt's, which may be nearly anything. */
static gboolean
check_host_name (const char *text, GError **error)
{
  g_autofree char *safe = ramet_project_shown (text);

  if (strlen (text) <= 255 && *text != '/' && g_str_equal (safe, text))
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_USAGE, "'%s' is no name of libvirt's", safe);
  ramet_error_hint (error, "'virsh net-list --all' and 'virsh pool-list --all' show the names there are");
  return FALSE;
}

static gboolean
check_share (const char *text, GError **error)
{
  g_autofree char *source = NULL;
  g_autofree char *target = NULL;

  return ramet_share_parse (text, "/srv/project", &source, &target, error);
}

#define FIELD(field) G_STRUCT_OFFSET (RametProjectVm, field)

static const Row rows[] = {
  { "name", PROJECT, ONE, 0, NULL, NULL },
  { "base", PROJECT | VM, ONE, FIELD (base), ramet_name_check_base, NULL },
  { "cpus", PROJECT | VM, ONE, 0, NULL, read_cpus },
  { "memory", PROJECT | VM, ONE, 0, NULL, read_memory },
  { "disk-size", PROJECT | VM, ONE, 0, NULL, read_disk_size },
  { "share", PROJECT | VM, PATHS, FIELD (shares), check_share, NULL },
  { "packages", PROJECT | VM, WORDS, FIELD (packages), ramet_name_check_package, NULL },
  { "run", PROJECT | VM, PATHS, FIELD (run), NULL, NULL },
  { "network", PROJECT | VM, ONE, FIELD (network), check_host_name, NULL },
  { "user", PROJECT | VM, ONE, FIELD (user), ramet_name_check_user, NULL },
  { "pool", PROJECT | VM, ONE, FIELD (pool), check_host_name, NULL },
  { "after", VM, WORDS, FIELD (after), NULL, NULL },
};

/**
 * ramet_project_get_key:
 * @index: from 0 on
 * @ret_of_project: (out): whether it may stand in [project]
 * @ret_of_vm: (out): whether it may stand in [vm NAME]
 *
 * Returns: (transfer none) (nullable): %NULL behind the last one
 */
const char *
ramet_project_get_key (gsize index, gboolean *ret_of_project, gboolean *ret_of_vm)
{
  if (index >= G_N_ELEMENTS (rows))
    return NULL;
  *ret_of_project = (rows[index].places & PROJECT) != 0;
  *ret_of_vm = (rows[index].places & VM) != 0;
  return rows[index].key;
}

static void
vm_clear_fields (RametProjectVm *vm)
{
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      gpointer *at = (gpointer *) ((char *) vm + rows[i].offset);

      if (rows[i].offset == 0)
        continue;
      if (rows[i].kind == ONE)
        g_free (*at);
      else
        g_strfreev (*at);
      *at = NULL;
    }
}

static void
vm_free (gpointer data)
{
  RametProjectVm *vm = data;

  vm_clear_fields (vm);
  g_free (vm->name);
  g_free (vm->full_name);
  g_free (vm);
}

void
ramet_project_free (RametProject *project)
{
  g_free (project->name);
  g_free (project->folder);
  g_free (project->text);
  g_ptr_array_unref (project->vms);
  g_free (project);
}

/* (transfer none) (nullable) */
static const Row *
find_row (Parser *parser, const RametProjectEntry *entry, Place place)
{
  const char *known[G_N_ELEMENTS (rows) + 1] = { NULL };
  const char *where = place == PROJECT ? "[project]" : "[vm …]";
  g_autofree char *safe = ramet_project_shown (entry->key);
  const char *nearest;
  GError **why;
  gsize n = 0;

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      if (!(rows[i].places & place))
        continue;
      if (g_str_equal (rows[i].key, entry->key))
        return &rows[i];
      known[n++] = rows[i].key;
    }
  why = ramet_project_say (parser->lines, entry->line, "there is no key '%s' in %s", safe, where);
  nearest = ramet_text_nearest (entry->key, known);
  if (nearest)
    ramet_error_hint (why, "did you mean '%s'?", nearest);
  else
    {
      g_autofree char *all = g_strjoinv (", ", (char **) known);

      ramet_error_hint (why, "the keys are: %s", all);
    }
  return NULL;
}

/* (transfer full) (nullable): the words or paths of a list, without empty ones */
static char **
read_list (Parser *parser, const RametProjectEntry *entry, const Row *row, char **values)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  guint n = 0;

  for (char **value = values; *value; value++)
    {
      g_auto (GStrv) items = row->kind == WORDS ? g_strsplit_set (*value, " \t,", -1) : g_strsplit (*value, "\n", 1);

      for (char **item = items; *item; item++)
        {
          GError *why = NULL;

          if (!*g_strstrip (*item))
            continue;
          if (row->check && !row->check (*item, &why))
            ramet_project_take (parser->lines, entry->line, why);
          else
            g_strv_builder_add (builder, *item);
          n++;
        }
    }
  if (n > RAMET_PROJECT_MAX_ITEMS)
    ramet_error_hint (ramet_project_say (parser->lines, entry->line, "'%s' has more than %d parts", row->key,
                                         RAMET_PROJECT_MAX_ITEMS),
                      "a script of 'run' can do more");
  return g_strv_builder_end (builder);
}

/* Scripts are told from the project's folder. */
static void
anchor_paths (char **paths, const char *folder)
{
  for (; *paths; paths++)
    {
      char *absolute = g_canonicalize_filename (*paths, folder);

      g_free (*paths);
      *paths = absolute;
    }
}

static gboolean
set_one (RametProjectVm *vm, const Row *row, const char *text, GError **error)
{
  char **at = (char **) ((char *) vm + row->offset);

  if (*text == '\0')
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "'%s' has no value", row->key);
      ramet_error_hint (error, "give it one, or leave the line out");
      return FALSE;
    }
  if (row->read)
    return row->read (vm, text, error);
  if (row->offset == 0 || (row->check && !row->check (text, error)))
    return row->offset == 0;
  g_free (*at);
  *at = g_strdup (text);
  return TRUE;
}

static void
read_value (Parser *parser, RametProjectVm *vm, const RametProjectEntry *entry, const Row *row)
{
  g_autofree char *group = g_strdup_printf ("%u", entry->section);
  GError *why = NULL;

  if (row->kind == ONE)
    {
      g_autofree char *text = g_key_file_get_string (parser->values, group, row->key, &why);

      if (text && set_one (vm, row, g_strstrip (text), &why) && g_str_equal (row->key, "name"))
        {
          g_free (parser->project->name);
          parser->project->name = g_strdup (text);
        }
    }
  else
    {
      g_auto (GStrv) values = g_key_file_get_string_list (parser->values, group, row->key, NULL, &why);
      char ***at = (char ***) ((char *) vm + row->offset);

      if (values)
        {
          g_strfreev (*at);
          *at = read_list (parser, entry, row, values);
          if (g_str_equal (row->key, "run"))
            anchor_paths (*at, parser->project->folder);
        }
    }
  if (why && why->domain != RAMET_ERROR)
    {
      g_clear_error (&why);
      ramet_error_set (&why, RAMET_ERROR_USAGE, "the value of '%s' cannot be read", row->key);
      ramet_error_hint (&why, "a backslash is written '\\\\', and a ';' in a path '\\;'");
    }
  ramet_project_take (parser->lines, entry->line, why);
}

/* What stands in section @index goes to @vm. */
static void
read_section (Parser *parser, RametProjectVm *vm, guint index, Place place)
{
  for (guint i = 0; i < parser->lines->entries->len; i++)
    {
      const RametProjectEntry *entry = g_ptr_array_index (parser->lines->entries, i);
      const Row *row = entry->section == index ? find_row (parser, entry, place) : NULL;

      if (row)
        read_value (parser, vm, entry, row);
    }
}

/* The same values for GKeyFile, which knows lists and escapes. */
static void
load_values (Parser *parser)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (GError) why = NULL;

  for (guint section = 0; section < parser->lines->sections->len; section++)
    {
      g_string_append_printf (text, "[%u]\n", section);
      for (guint i = 0; i < parser->lines->entries->len; i++)
        {
          const RametProjectEntry *entry = g_ptr_array_index (parser->lines->entries, i);

          for (gsize row = 0; entry->section == section && row < G_N_ELEMENTS (rows); row++)
            if (g_str_equal (entry->key, rows[row].key))
              g_string_append_printf (text, "%s=%s\n", entry->key, entry->value);
        }
    }
  if (text->len > 0 && !g_key_file_load_from_data (parser->values, text->str, text->len, G_KEY_FILE_NONE, &why))
    ramet_error_hint (ramet_project_say (parser->lines, 0, "it cannot be read"), "see that each line is 'key = value'");
}

static RametProjectVm *
vm_copy (const RametProjectVm *defaults)
{
  RametProjectVm *vm = g_new0 (RametProjectVm, 1);

  *vm = *defaults;
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      gpointer *at = (gpointer *) ((char *) vm + rows[i].offset);

      if (rows[i].offset && rows[i].kind == ONE)
        *at = g_strdup (*at);
      else if (rows[i].offset)
        *at = g_strdupv (*at);
    }
  vm->name = vm->full_name = NULL;
  return vm;
}

static void
check_section_name (Parser *parser, const RametProjectSection *section)
{
  static const char *const known[] = { "project", "vm", NULL };
  g_autofree char *safe = ramet_project_shown (section->name);
  g_autofree char *first = g_strndup (section->name, strcspn (section->name, " "));
  const char *nearest = ramet_text_nearest (first, known);
  const char *rest = section->name + strlen (first);
  GError **why = ramet_project_say (parser->lines, section->line, "there is no section '[%s]'", safe);

  if (g_str_equal (section->name, "vm"))
    ramet_error_hint (why, "give the VM a name: '[vm web]'");
  else if (nearest && *rest == '\0' && g_str_equal (nearest, "project"))
    ramet_error_hint (why, "did you mean '[project]'?");
  else if (nearest && *rest && g_str_equal (nearest, "vm") && ramet_name_check_vm (rest + 1, NULL))
    ramet_error_hint (why, "did you mean '[vm%s]'?", rest);
  else if (*rest == '\0' && ramet_name_check_vm (section->name, NULL))
    ramet_error_hint (why, "a VM's section is '[vm %s]'", section->name);
  else
    ramet_error_hint (why, "the sections are '[project]' and '[vm NAME]'");
}

/* Its name is a part of a host name, alone and with the project's before it. */
static void
name_vm (Parser *parser, RametProjectVm *vm)
{
  const char *project = parser->project->name;
  GError *why = NULL;

  if (!ramet_name_check_vm (vm->name, &why))
    ramet_project_take (parser->lines, vm->line, why);
  else if (project)
    {
      vm->full_name = g_strdup_printf ("%s-%s", project, vm->name);
      if (!ramet_name_check_vm (vm->full_name, &why))
        {
          g_clear_error (&why);
          ramet_error_set (&why, RAMET_ERROR_USAGE, "the VM's whole name '%s' is too long: %" G_GSIZE_FORMAT " characters",
                           vm->full_name, strlen (vm->full_name));
          ramet_error_hint (&why, "project and VM may have 63 characters together, with the hyphen between them");
          ramet_project_take (parser->lines, vm->line, why);
        }
    }
}

static void
add_vm (Parser *parser, const RametProjectVm *defaults, guint index)
{
  const RametProjectSection *section = g_ptr_array_index (parser->lines->sections, index);
  const char *name = section->name + strlen ("vm ");
  g_autofree char *safe = ramet_project_shown (name);
  RametProjectVm *vm;

  if (ramet_project_find_vm (parser->project, name)) /* told as a section that is there twice */
    return;
  if (parser->project->vms->len >= RAMET_PROJECT_MAX_VMS)
    {
      if (!parser->too_many)
        ramet_error_hint (ramet_project_say (parser->lines, section->line, "there are more than %d VMs",
                                             RAMET_PROJECT_MAX_VMS),
                          "make two projects of it");
      parser->too_many = TRUE;
      return;
    }
  vm = vm_copy (defaults);
  vm->name = g_strdup (name);
  vm->line = section->line;
  g_ptr_array_add (parser->project->vms, vm);
  name_vm (parser, vm);
  read_section (parser, vm, index, VM);
  if (vm->base == NULL)
    ramet_error_hint (ramet_project_say (parser->lines, vm->line, "'%s' has no base", safe),
                      "write 'base = debian-12', for all VMs in [project]; 'ramet base list' shows what there is");
}

static void
check_project_name (Parser *parser, guint line)
{
  GError *why = NULL;

  if (line == 0)
    ramet_error_hint (ramet_project_say (parser->lines, 0, "there is no section '[project]'"),
                      "start the file with '[project]' and 'name = NAME'");
  else if (parser->project->name == NULL)
    ramet_error_hint (ramet_project_say (parser->lines, line, "the project has no name"), "write 'name = NAME' in [project]");
  else if (!ramet_name_check_project (parser->project->name, &why))
    {
      ramet_project_take (parser->lines, line, why);
      g_clear_pointer (&parser->project->name, g_free); /* what would follow from it is no further finding */
    }
}

static void
read_sections (Parser *parser)
{
  g_autofree RametProjectVm *defaults = g_new0 (RametProjectVm, 1);
  guint project_line = 0;

  for (guint i = 0; i < parser->lines->sections->len; i++)
    {
      const RametProjectSection *section = g_ptr_array_index (parser->lines->sections, i);

      if (!g_str_equal (section->name, "project"))
        continue;
      read_section (parser, defaults, i, PROJECT);
      project_line = project_line ? project_line : section->line;
    }
  check_project_name (parser, project_line);
  for (guint i = 0; i < parser->lines->sections->len; i++)
    {
      const RametProjectSection *section = g_ptr_array_index (parser->lines->sections, i);

      if (g_str_has_prefix (section->name, "vm "))
        add_vm (parser, defaults, i);
      else if (!g_str_equal (section->name, "project"))
        check_section_name (parser, section);
    }
  vm_clear_fields (defaults);
  if (parser->project->vms->len == 0)
    ramet_error_hint (ramet_project_say (parser->lines, 0, "the project has no VMs"), "add a section '[vm NAME]'");
}

static void
check_after (Parser *parser, const RametProjectVm *vm)
{
  for (char **after = vm->after; after && *after; after++)
    {
      g_autoptr (GPtrArray) names = g_ptr_array_new ();
      g_autofree char *safe = ramet_project_shown (*after);
      g_autofree char *self = ramet_project_shown (vm->name);
      const char *nearest;
      GError **why;

      if (ramet_project_find_vm (parser->project, *after))
        continue;
      why = ramet_project_say (parser->lines, vm->line, "'%s' comes after '%s', and there is no such VM here", self, safe);
      for (guint i = 0; i < parser->project->vms->len; i++)
        g_ptr_array_add (names, ((RametProjectVm *) g_ptr_array_index (parser->project->vms, i))->name);
      g_ptr_array_add (names, NULL);
      nearest = ramet_text_nearest (*after, (const char *const *) names->pdata);
      if (nearest && ramet_name_check_vm (nearest, NULL))
        ramet_error_hint (why, "did you mean '%s'?", nearest);
      else
        ramet_error_hint (why, "'after' names VMs of this file");
    }
}

static void
check_order (Parser *parser)
{
  g_autofree char *circle = NULL;
  g_autoptr (GPtrArray) order = ramet_project_find_order (parser->project, &circle);

  for (guint i = 0; i < parser->project->vms->len; i++)
    check_after (parser, g_ptr_array_index (parser->project->vms, i));
  if (order == NULL)
    {
      g_autofree char *safe = ramet_project_shown (circle);

      ramet_error_hint (ramet_project_say (parser->lines, 0, "'after' goes in a circle: %s", safe),
                        "one of them must be able to come first");
    }
}

static gboolean
check_text (const char *text, gsize length, const char *shown_path, GError **error)
{
  const char *why = NULL;

  if (length > RAMET_PROJECT_MAX_BYTES)
    why = "is larger than 64 KiB";
  else if (memchr (text, '\0', length) || !g_utf8_validate (text, (gssize) length, NULL))
    why = "is no text in UTF-8";
  if (why == NULL)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_USAGE, "'%s' %s", shown_path, why);
  ramet_error_hint (error, "a few lines of text will do");
  return FALSE;
}

/**
 * ramet_project_parse:
 * @folder: absolute; what relative paths start from
 * @shown_path: what the file is called in messages
 * @error: RAMET_ERROR_USAGE: all that is wrong with it, each with its line, see ramet_error_get_next()
 *
 * Returns: (transfer full)
 */
RametProject *
ramet_project_parse (const char *text, gsize length, const char *folder, const char *shown_path, GError **error)
{
  g_autoptr (RametProject) project = NULL;
  g_autoptr (GKeyFile) values = g_key_file_new ();
  g_auto (RametProjectLines) lines = { .shown_path = shown_path, .first_section = "[project]", .section = "[vm NAME]" };
  Parser parser = { .lines = &lines, .values = values };

  if (!check_text (text, length, shown_path, error))
    return NULL;
  project = parser.project = g_new0 (RametProject, 1);
  project->folder = g_strdup (folder);
  project->vms = g_ptr_array_new_with_free_func (vm_free);
  project->text = g_strndup (text, length);
  ramet_project_lines_read (&lines, project->text);
  load_values (&parser);
  read_sections (&parser);
  check_order (&parser);
  return ramet_findings_raise (lines.findings, error) ? g_steal_pointer (&project) : NULL;
}
