// Sends orders above a limit to destinations of their own.
#include "plugin.h"

#include <stdlib.h>
#include <string.h>

// What `config` may hold: the host checks it against this before `init` sees it,
// so the few lines that read it below can rely on its form.
static const char SCHEMA[] =
    "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\","
    " \"type\": \"object\","
    " \"properties\": {"
    "   \"limit\": {\"description\": \"The least amount of a large order.\", \"type\": \"number\"},"
    "   \"to\": {"
    "     \"description\": \"Who gets large orders, by the names of the host's settings.\","
    "     \"type\": \"array\","
    "     \"items\": {\"type\": \"string\", \"pattern\": \"^[a-z0-9_-]+$\"},"
    "     \"minItems\": 1}},"
    " \"required\": [\"limit\", \"to\"],"
    " \"additionalProperties\": false}";

static double limit;
static char **to;
static size_t count;

void exports_hookwright_plugin_lifecycle_describe(
    exports_hookwright_plugin_lifecycle_description_t *description) {
  plugin_string_dup(&description->name, "large-orders");
  plugin_string_dup(&description->version, "0.1.0");
  plugin_string_dup(&description->summary,
                    "Sends orders above a limit to destinations of their own.");
  description->config_schema.is_some = true;
  plugin_string_dup(&description->config_schema.val, SCHEMA);
}

bool exports_hookwright_plugin_lifecycle_init(
    plugin_string_t *config, exports_hookwright_plugin_lifecycle_list_config_error_t *errors) {
  (void)errors;
  char *json = strndup((const char *)config->ptr, config->len);
  limit = strtod(strchr(strstr(json, "\"limit\""), ':') + 1, NULL);
  const char *at = strchr(json, '[');
  while (at && (at = strpbrk(at + 1, "\"]")) && *at == '"') {
    const char *end = strchr(at + 1, '"');
    to = realloc(to, (count + 1) * sizeof *to);
    to[count++] = strndup(at + 1, end - at - 1);
    at = end;
  }
  return true;
}

// The number at the pointer; false where there is none. The host looks it up,
// and the body itself never comes here.
static bool number(hookwright_plugin_types_borrow_body_t body, const char *pointer, double *value) {
  plugin_string_t asked;
  plugin_string_set(&asked, pointer);
  plugin_list_string_t pointers = {.ptr = &asked, .len = 1};
  plugin_list_option_string_t found;
  hookwright_plugin_types_method_body_select(body, &pointers, &found);
  bool good = found.ptr[0].is_some;
  if (good) {
    char *text = strndup((const char *)found.ptr[0].val.ptr, found.ptr[0].val.len);
    char *end;
    *value = strtod(text, &end);
    good = end > text && *end == '\0';
    free(text);
  }
  plugin_list_option_string_free(&found);
  return good;
}

bool exports_hookwright_plugin_handler_handle(
    exports_hookwright_plugin_handler_event_t *event,
    exports_hookwright_plugin_handler_borrow_body_t body,
    exports_hookwright_plugin_handler_verdict_t *verdict,
    exports_hookwright_plugin_handler_failure_t *failure) {
  (void)event;
  double amount;
  if (!number(body, "/amount", &amount)) {
    failure->tag = HOOKWRIGHT_PLUGIN_TYPES_FAILURE_REJECT;
    plugin_string_dup(&failure->val.reject, "no number at /amount");
    return false;
  }
  if (amount < limit) {
    verdict->tag = HOOKWRIGHT_PLUGIN_TYPES_VERDICT_PASS;
    return true;
  }
  // Whatever the answer holds comes from `malloc`: it is freed afterwards.
  hookwright_plugin_types_delivery_t *all = calloc(count, sizeof *all);
  for (size_t i = 0; i < count; i++) {
    plugin_string_dup(&all[i].destination, to[i]);
  }
  verdict->tag = HOOKWRIGHT_PLUGIN_TYPES_VERDICT_DELIVER;
  verdict->val.deliver = (hookwright_plugin_types_list_delivery_t){.ptr = all, .len = count};
  return true;
}
