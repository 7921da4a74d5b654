/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/complete.h"

#include <stdio.h>
#include <string.h>

#include "cli/slots.h"
#include "core/text.h"
#include "operations/project/project.h"
#include "operations/vm/vm.h"

/* What is offered goes to stdout at once: should libvirtd not answer, what came before it is of use. */
typedef struct
{
  const RametPlace *place;
  const RametSlot *slot;
  GHashTable *offered;
  GPtrArray *vms; /* (element-type RametVm): of libvirt; NULL: not asked yet */
} Lister;

/*
 * Shells quote what they insert; but a line end would make two of one, and what a terminal may take for a command shall not
 * get there. No name of ours is like that, but a domain's may be.
 */
static gboolean
is_fit (const char *candidate)
{
  g_autofree char *safe = ramet_text_escape (candidate, -1);

  return *candidate && *candidate != '-' && g_str_equal (safe, candidate);
}

/* g_print() would put question marks into names that the locale does not have the letters of. */
static void
print_candidate (const char *before, const char *candidate, const char *about)
{
  g_autofree char *safe = ramet_text_escape (about, -1);

  printf ("%s%s\t%s\n", before, candidate, safe);
}

/* What is given already is offered no more. */
static void
offer (Lister *lister, const char *candidate, const char *about)
{
  const RametPlace *place = lister->place;

  if (is_fit (candidate) && g_hash_table_add (lister->offered, g_strdup (candidate)) &&
      (place->kind == RAMET_PLACE_VALUE ||
       !g_ptr_array_find_with_equal_func (place->given, candidate, g_str_equal, NULL)))
    print_candidate (place->before_value, candidate, about);
}

/* (transfer none): empty where libvirt cannot be asked: whoever presses Tab does not want to know why */
static GPtrArray *
list_domains (Lister *lister)
{
  if (lister->vms == NULL)
    {
      g_autoptr (RametConnection) connection = ramet_connection_open_to_look (lister->place->uri, NULL);

      lister->vms = connection ? ramet_vm_list (connection, NULL) : NULL;
      if (lister->vms == NULL)
        lister->vms = g_ptr_array_new ();
    }
  return lister->vms;
}

static char *
describe_vm (const RametVm *vm)
{
  const RametMetadata *metadata = vm->metadata;
  GString *text = g_string_new (ramet_run_name (vm->run));

  if (metadata && metadata->project)
    g_string_append_printf (text, ", of %s", metadata->project);
  if (metadata && metadata->base_name)
    g_string_append_printf (text, ", from %s", metadata->base_name);
  return g_string_free (text, FALSE);
}

static void
list_projects_after (Lister *lister, const char *mark)
{
  g_autoptr (RametProject) here = ramet_project_load_here (NULL);
  GPtrArray *vms;

  if (here)
    {
      g_autofree char *name = g_strconcat (mark, here->name, NULL);

      offer (lister, name, "this folder's project");
    }
  vms = list_domains (lister);
  for (guint i = 0; i < vms->len; i++)
    {
      const RametVm *vm = g_ptr_array_index (vms, i);
      g_autofree char *name = vm->metadata && vm->metadata->project ? g_strconcat (mark, vm->metadata->project, NULL) : NULL;

      if (name)
        offer (lister, name, "project");
    }
}

static void
list_projects (Lister *lister)
{
  list_projects_after (lister, "");
}

static void
list_marked_projects (Lister *lister)
{
  list_projects_after (lister, "@");
}

/* Where several may be named, a project may stand for all of its own. */
static void
list_vms (Lister *lister)
{
  GPtrArray *vms = list_domains (lister);

  for (guint i = 0; i < vms->len; i++)
    {
      const RametVm *vm = g_ptr_array_index (vms, i);
      g_autofree char *about = describe_vm (vm);

      if (ramet_vm_is_clone (vm))
        offer (lister, ramet_vm_get_name (vm), about);
    }
  if (lister->slot->repeats)
    list_marked_projects (lister);
}

static void
list_vms_of_file (Lister *lister)
{
  g_autoptr (RametProject) here = ramet_project_load_here (NULL);

  for (guint i = 0; here && i < here->vms->len; i++)
    {
      const RametProjectVm *vm = g_ptr_array_index (here->vms, i);

      offer (lister, vm->name, vm->base);
    }
}

/* Any domain may be one; those that ramet has built come first, in the shells that keep an order. */
static void
list_bases (Lister *lister)
{
  static const struct { RametState state; const char *about; } kinds[] = {
    { RAMET_STATE_BASE, "base" }, { RAMET_STATE_FOREIGN, "not made by ramet" },
  };
  GPtrArray *vms = list_domains (lister);

  for (gsize kind = 0; kind < G_N_ELEMENTS (kinds); kind++)
    for (guint i = 0; i < vms->len; i++)
      {
        const RametVm *vm = g_ptr_array_index (vms, i);

        if (ramet_vm_get_state (vm) == kinds[kind].state)
          offer (lister, ramet_vm_get_name (vm), kinds[kind].about);
      }
}

static void
list_templates (Lister *lister)
{
  GPtrArray *vms = list_domains (lister);

  for (guint i = 0; i < vms->len; i++)
    {
      const RametVm *vm = g_ptr_array_index (vms, i);
      g_autofree char *about = g_strdup_printf ("of %s", vm->metadata && vm->metadata->base_name ? vm->metadata->base_name : "?");

      if (ramet_vm_get_state (vm) == RAMET_STATE_TEMPLATE)
        offer (lister, ramet_vm_get_name (vm), about);
    }
}

/* Of each snapshot of a VM, what @put makes of it and its VM, which is nothing for some. */
static void
list_points (Lister *lister, char *(*put) (const RametVm *vm, const char *point, gconstpointer data), gconstpointer data)
{
  GPtrArray *vms = list_domains (lister);

  for (guint i = 0; i < vms->len; i++)
    {
      const RametVm *vm = g_ptr_array_index (vms, i);

      for (guint j = 0; vm->metadata && j < vm->metadata->points->len; j++)
        {
          const RametPoint *point = g_ptr_array_index (vm->metadata->points, j);
          g_autofree char *name = point->dropped ? NULL : put (vm, point->name, data);
          g_autofree char *about = g_strdup_printf ("%s%s", point->created ? point->created : "snapshot",
                                                    point->memory ? ", with memory" : "");

          if (name)
            offer (lister, name, about);
        }
    }
}

static char *
put_behind_vm (const RametVm *vm, const char *point, gconstpointer data)
{
  return g_strconcat (ramet_vm_get_name (vm), "@", point, NULL);
}

static char *
put_behind_project (const RametVm *vm, const char *point, gconstpointer data)
{
  return vm->metadata->project ? g_strconcat ("@", vm->metadata->project, "@", point, NULL) : NULL;
}

static char *
put_alone (const RametVm *vm, const char *point, gconstpointer project)
{
  return g_strcmp0 (vm->metadata->project, project) == 0 ? g_strdup (point) : NULL;
}

static void
list_points_of_vms (Lister *lister)
{
  list_points (lister, put_behind_vm, NULL);
}

static void
list_points_of_projects (Lister *lister)
{
  list_points (lister, put_behind_project, NULL);
}

static void
list_points_of_here (Lister *lister)
{
  g_autoptr (RametProject) here = ramet_project_load_here (NULL);

  if (here)
    list_points (lister, put_alone, here->name);
}

/* The shared folders of the VM that is named already. */
static void
list_shares (Lister *lister)
{
  const char *name = lister->place->given->len > 0 ? g_ptr_array_index (lister->place->given, 0) : NULL;
  GPtrArray *vms = list_domains (lister);

  for (guint i = 0; i < vms->len; i++)
    {
      const RametVm *vm = g_ptr_array_index (vms, i);

      for (guint j = 0; vm->metadata && g_strcmp0 (ramet_vm_get_name (vm), name) == 0 && j < vm->metadata->shares->len; j++)
        offer (lister, ((RametShare *) g_ptr_array_index (vm->metadata->shares, j))->source, "shared folder");
    }
}

/* What the shell knows best. A line without a candidate says so. */
static void
list_files (Lister *lister)
{
  print_candidate ("", "", "files");
}

static void
list_folders (Lister *lister)
{
  print_candidate ("", "", "folders");
}

/* Each form that the table of commands speaks of; those that nobody can list have no function. */
static const struct
{
  const char *form;
  void (*list) (Lister *lister);
} forms[] = {
  { "NAME", list_vms },
  { "NAME@SNAPSHOT", list_points_of_vms },
  { "NAME@NEW", NULL },
  { "VM", list_vms_of_file },
  { "@PROJECT", list_marked_projects },
  { "@PROJECT@SNAPSHOT", list_points_of_projects },
  { "@PROJECT@NEW", NULL },
  { "PROJECT", list_projects },
  { "SNAPSHOT", list_points_of_here },
  { "BASE", list_bases },
  { "TEMPLATE", list_templates },
  { "SHARE", list_shares },
  { "DIR", list_folders },
  { "DIR:GUESTDIR", NULL },
  { "FILE", list_files },
  { "SCRIPT", list_files },
  { "PATH", list_files },
  { "NEW", NULL },
  { "COMMAND", NULL },
  { "WORD", NULL },
  { "HOST", NULL },
  { "N", NULL },
  { "SIZE", NULL },
  { "SECONDS", NULL },
  { "ADDRESS", NULL },
  { "TARGET", NULL },
  { "NETWORK", NULL },
  { "POOL", NULL },
  { "USER", NULL },
  { "PACKAGE", NULL },
  { "SUITE", NULL },
  { "URL", NULL },
  { "URI", NULL },
};

/** ramet_complete_knows: whether @form, see cli/slots.h, is one that can stand in the table of commands */
gboolean
ramet_complete_knows (const char *form)
{
  for (gsize i = 0; i < G_N_ELEMENTS (forms); i++)
    if (g_str_equal (forms[i].form, form))
      return TRUE;
  return ramet_slot_form_is_literal (form);
}

static void
list_slot (Lister *lister)
{
  for (guint i = 0; lister->slot && i < lister->slot->forms->len; i++)
    {
      const char *form = g_ptr_array_index (lister->slot->forms, i);

      if (ramet_slot_form_is_literal (form))
        print_candidate (lister->place->before_value, form, "");
      for (gsize j = 0; j < G_N_ELEMENTS (forms); j++)
        if (forms[j].list && g_str_equal (forms[j].form, form))
          forms[j].list (lister);
    }
}

/* As the help does, but a command of two words shows as its first. */
static void
list_commands (const RametPlace *place)
{
  const char *last = "";

  for (gsize i = 0; i < ramet_n_commands; i++)
    {
      const RametCommand *command = &ramet_commands[i];
      const char *blank = strchr (command->name, ' ');
      gsize length = strcspn (command->name, " ");
      g_autofree char *first = g_strndup (command->name, length);
      g_autofree char *seconds = blank ? ramet_command_second_words (first) : NULL;

      if (command->flags & RAMET_COMMAND_HIDDEN)
        continue;
      if (place->first_word && blank && g_str_equal (place->first_word, first))
        print_candidate ("", blank + 1, command->summary);
      else if (place->first_word == NULL && strncmp (last, first, length + 1) != 0)
        print_candidate ("", first, seconds ? seconds : command->summary);
      last = blank ? g_intern_string (first) : "";
    }
}

static void
list_options (const RametPlace *place)
{
  const RametCommand *command = place->command;
  const GOptionEntry *tables[] = { command ? command->options : NULL, ramet_options_global, ramet_options_first };

  for (gsize i = 0; i < G_N_ELEMENTS (tables); i++)
    for (const GOptionEntry *option = tables[i]; option && option->long_name; option++)
      {
        g_autofree char *name = g_strconcat ("--", option->long_name, NULL);
        gboolean again = option->arg == G_OPTION_ARG_CALLBACK || option->arg == G_OPTION_ARG_STRING_ARRAY ||
                         option->arg == G_OPTION_ARG_FILENAME_ARRAY;

        if ((!again && g_ptr_array_find (place->options_given, option, NULL)) || (option->flags & G_OPTION_FLAG_HIDDEN) ||
            (command && option->arg_data == &ramet_global.version) ||
            (command && option->arg_data == &ramet_global.json && !(command->flags & RAMET_COMMAND_JSON)))
          continue;
        print_candidate ("", name, option->description);
      }
}

/** ramet_complete: prints what could stand at @place, a line each: the word, a tab, what it is */
void
ramet_complete (const RametPlace *place)
{
  gboolean is_value = place->kind == RAMET_PLACE_VALUE;
  const char *args = is_value ? place->option->arg_description : place->command ? place->command->args : NULL;
  g_autoptr (GPtrArray) slots = ramet_slots_new (args ? args : "");
  g_autoptr (GHashTable) offered = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  Lister lister = { .place = place, .slot = ramet_slots_get (slots, is_value ? 0 : place->given->len), .offered = offered };

  if (place->kind == RAMET_PLACE_COMMAND)
    list_commands (place);
  else if (place->kind == RAMET_PLACE_OPTION)
    list_options (place);
  else if (place->kind != RAMET_PLACE_NOWHERE)
    list_slot (&lister);
  g_clear_pointer (&lister.vms, g_ptr_array_unref);
}
