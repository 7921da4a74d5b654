/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/agent.h"

#include <arpa/inet.h>
#include <json-glib/json-glib.h>
#include <string.h>

#include "core/error.h"

#define MAX_DEPTH 16 /* of an answer's arrays and objects; json-glib's parser is recursive */

/** ramet_agent_outcome_clear: frees what is in @outcome and empties it */
void
ramet_agent_outcome_clear (RametAgentOutcome *outcome)
{
  g_free (outcome->output);
  g_free (outcome->errors);
  memset (outcome, 0, sizeof *outcome);
}

static JsonBuilder *
begin_command (const char *name)
{
  JsonBuilder *builder = json_builder_new ();

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "execute");
  json_builder_add_string_value (builder, name);
  return builder;
}

static void
begin_arguments (JsonBuilder *builder)
{
  json_builder_set_member_name (builder, "arguments");
  json_builder_begin_object (builder);
}

static char *
end_command (JsonBuilder *builder)
{
  g_autoptr (JsonNode) root = NULL;

  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  return json_to_string (root, FALSE);
}

/** ramet_agent_command_plain: (transfer full): a command without arguments, see QEMU's guest agent protocol */
char *
ramet_agent_command_plain (const char *name)
{
  g_autoptr (JsonBuilder) builder = begin_command (name);

  return end_command (builder);
}

/** ramet_agent_command_set_time: (transfer full): @since_1970_us in microseconds, UTC */
char *
ramet_agent_command_set_time (gint64 since_1970_us)
{
  g_autoptr (JsonBuilder) builder = begin_command ("guest-set-time");

  begin_arguments (builder);
  json_builder_set_member_name (builder, "time");
  json_builder_add_int_value (builder, since_1970_us * 1000);
  json_builder_end_object (builder);
  return end_command (builder);
}

/**
 * ramet_agent_command_exec:
 * @argv: UTF-8, the program's path or name first
 * @input: (nullable): what it finds on stdin, at most RAMET_AGENT_MAX_INPUT_BYTES
 *
 * Returns: (transfer full): what starts a program, its output kept
 */
char *
ramet_agent_command_exec (const char *const *argv, const char *input)
{
  g_autoptr (JsonBuilder) builder = begin_command ("guest-exec");

  begin_arguments (builder);
  json_builder_set_member_name (builder, "path");
  json_builder_add_string_value (builder, argv[0]);
  json_builder_set_member_name (builder, "arg");
  json_builder_begin_array (builder);
  for (gsize i = 1; argv[i]; i++)
    json_builder_add_string_value (builder, argv[i]);
  json_builder_end_array (builder);
  if (input)
    {
      g_autofree char *coded = g_base64_encode ((const guchar *) input, strlen (input));

      json_builder_set_member_name (builder, "input-data");
      json_builder_add_string_value (builder, coded);
    }
  json_builder_set_member_name (builder, "capture-output");
  json_builder_add_boolean_value (builder, TRUE);
  json_builder_end_object (builder);
  return end_command (builder);
}

/** ramet_agent_command_exec_status: (transfer full): asks for the outcome of the program that runs as @pid */
char *
ramet_agent_command_exec_status (gint64 pid)
{
  g_autoptr (JsonBuilder) builder = begin_command ("guest-exec-status");

  begin_arguments (builder);
  json_builder_set_member_name (builder, "pid");
  json_builder_add_int_value (builder, pid);
  json_builder_end_object (builder);
  return end_command (builder);
}

/* Whether @text is no deeper than MAX_DEPTH; brackets in strings do not count. */
static gboolean
is_shallow (const char *text)
{
  gboolean quoted = FALSE;
  int depth = 0;

  for (; *text; text++)
    {
      if (quoted && *text == '\\' && text[1])
        text++;
      else if (*text == '"')
        quoted = !quoted;
      else if (!quoted && (*text == '[' || *text == '{') && ++depth > MAX_DEPTH)
        return FALSE;
      else if (!quoted && (*text == ']' || *text == '}'))
        depth--;
    }
  return TRUE;
}

/* (transfer full): the value of "return" */
static JsonNode *
parse_return (const char *answer, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  JsonNode *root;
  JsonObject *object;

  if (strnlen (answer, RAMET_AGENT_MAX_ANSWER_BYTES + 1) > RAMET_AGENT_MAX_ANSWER_BYTES)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "the guest agent's answer is too long");
      return NULL;
    }
  if (g_utf8_validate (answer, -1, NULL) && is_shallow (answer) && json_parser_load_from_data (parser, answer, -1, NULL))
    {
      root = json_parser_get_root (parser);
      object = root && JSON_NODE_HOLDS_OBJECT (root) ? json_node_get_object (root) : NULL;
      if (object && json_object_has_member (object, "return"))
        return json_node_copy (json_object_get_member (object, "return"));
    }
  ramet_error_set (error, RAMET_ERROR_FAILED, "the guest agent's answer makes no sense");
  return NULL;
}

/* The object that "return" holds, which lives as long as *@ret_node; %NULL with @error if it is something else. */
static JsonObject *
parse_object (const char *answer, JsonNode **ret_node, GError **error)
{
  *ret_node = parse_return (answer, error);
  if (*ret_node == NULL)
    return NULL;
  if (JSON_NODE_HOLDS_OBJECT (*ret_node))
    return json_node_get_object (*ret_node);
  ramet_error_set (error, RAMET_ERROR_FAILED, "the guest agent's answer is not of the kind that was asked for");
  return NULL;
}

/* A member that must be there, of type @type. */
static JsonNode *
get_member (JsonObject *object, const char *name, GType type)
{
  JsonNode *node = json_object_get_member (object, name);

  return node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == type ? node : NULL;
}

static gboolean
get_int (JsonObject *object, const char *name, gint64 min, gint64 max, gint64 *ret_value)
{
  JsonNode *node = get_member (object, name, G_TYPE_INT64);
  gint64 value = node ? json_node_get_int (node) : 0;

  if (node == NULL || value < min || value > max)
    return FALSE;
  *ret_value = value;
  return TRUE;
}

static gboolean
get_bool (JsonObject *object, const char *name)
{
  JsonNode *node = get_member (object, name, G_TYPE_BOOLEAN);

  return node && json_node_get_boolean (node);
}

/* What a stream gave; *@cut is set if more than is kept, and left alone if not. */
static char *
get_stream (JsonObject *object, const char *name, gsize *ret_length, gboolean *cut)
{
  JsonNode *node = get_member (object, name, G_TYPE_STRING);
  g_autofree guchar *bytes = NULL;
  gsize length = 0;
  char *kept;

  if (node)
    bytes = g_base64_decode (json_node_get_string (node), &length);
  if (length > RAMET_AGENT_MAX_OUTPUT_BYTES)
    {
      length = RAMET_AGENT_MAX_OUTPUT_BYTES;
      *cut = TRUE;
    }
  kept = g_malloc (length + 1);
  if (length > 0)
    memcpy (kept, bytes, length);
  kept[length] = '\0';
  *ret_length = length;
  return kept;
}

/** ramet_agent_parse_nothing: whether @answer is one without an error; what it returns is not looked at */
gboolean
ramet_agent_parse_nothing (const char *answer, GError **error)
{
  g_autoptr (JsonNode) node = parse_return (answer, error);

  return node != NULL;
}

/** ramet_agent_parse_pid: the number of a program that was started */
gboolean
ramet_agent_parse_pid (const char *answer, gint64 *ret_pid, GError **error)
{
  g_autoptr (JsonNode) node = NULL;
  JsonObject *object = parse_object (answer, &node, error);

  if (object == NULL)
    return FALSE;
  if (get_int (object, "pid", 1, G_MAXINT64, ret_pid))
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_FAILED, "the guest agent does not tell what it has started");
  return FALSE;
}

/** ramet_agent_parse_outcome: @ret_outcome is written on success only; one that has not ended yet is a success */
gboolean
ramet_agent_parse_outcome (const char *answer, RametAgentOutcome *ret_outcome, GError **error)
{
  g_auto (RametAgentOutcome) outcome = { 0 };
  g_autoptr (JsonNode) node = NULL;
  JsonObject *object = parse_object (answer, &node, error);
  gint64 number = 0;

  if (object == NULL)
    return FALSE;
  outcome.ended = get_bool (object, "exited");
  if (outcome.ended)
    {
      if (get_int (object, "exitcode", 0, 255, &number))
        outcome.status = (int) number;
      else if (get_int (object, "signal", 1, 64, &number))
        outcome.status = 128 + (int) number;
      else
        {
          ramet_error_set (error, RAMET_ERROR_FAILED, "the guest agent does not tell how a command ended");
          return FALSE;
        }
    }
  outcome.cut = get_bool (object, "out-truncated") || get_bool (object, "err-truncated");
  outcome.output = get_stream (object, "out-data", &outcome.output_length, &outcome.cut);
  outcome.errors = get_stream (object, "err-data", &outcome.errors_length, &outcome.cut);
  *ret_outcome = outcome;
  memset (&outcome, 0, sizeof outcome);
  return TRUE;
}

/* (transfer full) (nullable): the first IPv4 address of an interface that others may reach it by */
static char *
find_ipv4 (JsonObject *interface)
{
  JsonNode *node = json_object_get_member (interface, "ip-addresses");
  JsonArray *addresses = node && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;

  for (guint i = 0; addresses && i < json_array_get_length (addresses); i++)
    {
      JsonNode *element = json_array_get_element (addresses, i);
      JsonObject *object = JSON_NODE_HOLDS_OBJECT (element) ? json_node_get_object (element) : NULL;
      JsonNode *member = object ? get_member (object, "ip-address", G_TYPE_STRING) : NULL;
      const char *text = member ? json_node_get_string (member) : NULL;
      struct in_addr address;

      if (text && inet_pton (AF_INET, text, &address) == 1 && !g_str_has_prefix (text, "169.254."))
        return g_strdup (text);
    }
  return NULL;
}

/**
 * ramet_agent_parse_ipv4:
 * @answer: to "guest-network-get-interfaces"
 * @macs: a set of lower-case addresses (element-type utf8)
 *
 * Returns: (transfer full) (nullable): the first IPv4 address of an interface with one of @macs, dotted and no other text
 */
char *
ramet_agent_parse_ipv4 (const char *answer, GHashTable *macs)
{
  g_autoptr (JsonNode) node = parse_return (answer, NULL);
  JsonArray *interfaces = node && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  char *address = NULL;

  for (guint i = 0; interfaces && address == NULL && i < json_array_get_length (interfaces); i++)
    {
      JsonNode *element = json_array_get_element (interfaces, i);
      JsonObject *object = JSON_NODE_HOLDS_OBJECT (element) ? json_node_get_object (element) : NULL;
      JsonNode *member = object ? get_member (object, "hardware-address", G_TYPE_STRING) : NULL;
      g_autofree char *mac = member ? g_ascii_strdown (json_node_get_string (member), -1) : NULL;

      if (mac && g_hash_table_contains (macs, mac))
        address = find_ipv4 (object);
    }
  return address;
}
