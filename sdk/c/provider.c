/* The exports of a provider. */
#include "ml_intern_provider.h"

#include <stdlib.h>
#include <string.h>

#include "internal.h"

typedef exports_ml_intern_plugin_provider_response_t response_t;
typedef ml_intern_plugin_chat_part_t part_t;

struct ml_reply {
    const ml_chat *chat;
    char *text;
    size_t length;
    part_t *calls;
    size_t call_count;
    uint32_t input_tokens, output_tokens;
    bool cancelled;
};

static void *grown(void *memory, size_t bytes) {
    memory = realloc(memory, bytes);
    if (!memory) {
        abort();
    }
    return memory;
}

const char *ml_newest_input(const ml_chat *chat) {
    for (size_t index = chat->messages.len; index-- > 0;) {
        const ml_intern_plugin_chat_message_t *message = &chat->messages.ptr[index];
        if (message->role != ML_INTERN_PLUGIN_CHAT_ROLE_USER) {
            continue;
        }
        const char *input = "";
        for (size_t part = 0; part < message->parts.len; part++) {
            if (message->parts.ptr[part].tag == ML_INTERN_PLUGIN_CHAT_PART_TEXT) {
                bindings_string_t text = message->parts.ptr[part].val.text;
                input = ML_TEXT(input, ml_text_of(text.ptr, text.len));
            }
        }
        return input;
    }
    return "";
}

bool ml_say(ml_reply *reply, const char *text) {
    size_t length = strlen(text);
    reply->text = grown(reply->text, reply->length + length + 1);
    memcpy(reply->text + reply->length, text, length + 1);
    reply->length += length;
    if (reply->chat->stream && length) {
        ml_intern_plugin_sink_delta_t delta = {.tag = ML_INTERN_PLUGIN_SINK_DELTA_TEXT};
        delta.val.text = ml_borrowed(text);
        reply->cancelled |= ml_intern_plugin_sink_emit(&delta) == ML_INTERN_PLUGIN_TYPES_CONTROL_STOP;
    }
    return !reply->cancelled;
}

void ml_call_tool(ml_reply *reply, const char *id, const char *name, const char *arguments) {
    reply->calls = grown(reply->calls, (reply->call_count + 1) * sizeof *reply->calls);
    part_t *part = &reply->calls[reply->call_count++];
    *part = (part_t){.tag = ML_INTERN_PLUGIN_CHAT_PART_CALL};
    part->val.call.id = ml_owned(id);
    part->val.call.name = ml_owned(name);
    part->val.call.arguments = ml_owned(arguments);
}

void ml_used(ml_reply *reply, uint32_t input_tokens, uint32_t output_tokens) {
    reply->input_tokens = input_tokens;
    reply->output_tokens = output_tokens;
}

bool exports_ml_intern_plugin_provider_models(exports_ml_intern_plugin_provider_listing_t *ret,
                                              exports_ml_intern_plugin_provider_error_t *err) {
    (void)err;
    *ret = (exports_ml_intern_plugin_provider_listing_t){0};
    ret->models.len = ml_model_count;
    ret->models.ptr = ml_allocate(ml_model_count * sizeof *ret->models.ptr);
    for (size_t index = 0; index < ml_model_count; index++) {
        const ml_model *model = &ml_models[index];
        ret->models.ptr[index] = (exports_ml_intern_plugin_provider_model_t){
            .id = ml_owned(model->id),
            .context_window = model->context_window,
            .max_output = model->max_output,
            .tools = model->tools,
        };
    }
    return true;
}

bool exports_ml_intern_plugin_provider_complete(exports_ml_intern_plugin_provider_request_t *request,
                                                response_t *ret, exports_ml_intern_plugin_provider_error_t *err) {
    ml_reply reply = {.chat = request};
    ml_error error = ml_complete(request, &reply);
    if (error.code) {
        *err = ml_lowered(error);
        return false;
    }
    *ret = (response_t){0};
    ret->parts.ptr = ml_allocate((reply.call_count + 1) * sizeof *ret->parts.ptr);
    if (reply.length) {
        part_t part = {.tag = ML_INTERN_PLUGIN_CHAT_PART_TEXT};
        part.val.text = ml_owned(reply.text);
        ret->parts.ptr[ret->parts.len++] = part;
    }
    for (size_t index = 0; index < reply.call_count; index++) {
        ret->parts.ptr[ret->parts.len++] = reply.calls[index];
    }
    ret->stop = reply.cancelled    ? ML_INTERN_PLUGIN_CHAT_STOP_CANCELLED
                : reply.call_count ? ML_INTERN_PLUGIN_CHAT_STOP_TOOL_USE
                                   : ML_INTERN_PLUGIN_CHAT_STOP_END_TURN;
    ret->usage.input = reply.input_tokens;
    ret->usage.output = reply.output_tokens;
    return true;
}

bool exports_ml_intern_plugin_provider_count_tokens(exports_ml_intern_plugin_provider_request_t *request,
                                                    bindings_option_u32_t *ret,
                                                    exports_ml_intern_plugin_provider_error_t *err) {
    (void)request, (void)err;
    ret->is_some = false;
    return true;
}
