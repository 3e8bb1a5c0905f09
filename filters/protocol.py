"""What the wire formats call their things: the words by which the walker tells structure from content.

Data only. A key or part type that is not listed here is treated as content (scanned) or as unknown
(refused), so forgetting one costs time or an answer, never a leak.
Sources: the OpenAI chat, Responses, embeddings, images and audio references; Anthropic Messages.
"""

from __future__ import annotations

from typing import Final

HISTORY_FIRST: Final = ("system", "instructions", "messages", "input", "prompt")
"""Top-level keys walked before the others, so that masks are numbered in the order of the history."""

PART_LISTS: Final = frozenset({"content", "system", "input", "output", "summary", "prompt"})
"""Keys under which a list holds typed parts or items."""

TOKEN_LISTS: Final = frozenset({"input", "prompt"})
"""Keys under which embeddings and legacy completions accept token numbers instead of text."""

READABLE_PARTS: Final = frozenset(
    """text input_text output_text refusal summary_text reasoning_text reasoning thinking redacted_thinking
    message tool_use tool_result function_call function_call_output custom_tool_call
    custom_tool_call_output tool_call server_tool_use web_search_tool_result web_search_result search_result
    web_search_call file_search_call code_interpreter_call code_execution_tool_result mcp_call
    mcp_list_tools mcp_approval_request mcp_approval_response mcp_tool_use mcp_tool_result
    local_shell_call local_shell_call_output shell_call shell_call_output apply_patch_call
    apply_patch_call_output item_reference compaction""".split()
)

UNREADABLE_PARTS: Final = {
    "image_url": "image",
    "input_image": "image",
    "image": "image",
    "computer_call_output": "image",
    "computer_screenshot": "image",
    "image_generation_call": "image",
    "input_audio": "audio",
    "audio": "audio",
    "audio_url": "audio",
    "file": "file",
    "input_file": "file",
    "document": "file",
    "container_upload": "file",
    "video": "video",
    "video_url": "video",
    "input_video": "video",
}

FREE_KEYS: Final = frozenset(
    """metadata arguments args parameters input_schema schema json_schema properties variables
    example examples default user_location extra_body user safety_identifier prompt_cache_key""".split()
)
"""Keys below which everything is content, whatever it is called."""

ID_KEYS: Final = frozenset(
    """id role type model tool_call_id call_id tool_use_id item_id previous_response_id object status
    signature encrypted_content data thought_signature finish_reason stop_reason service_tier voice format
    detail media_type mime_type encoding_format response_format size quality style effort
    reasoning_effort verbosity truncation tool_choice server_label syntax background moderation
    aspect_ratio resolution ttl phase""".split()
)
"""Keys whose values are ids or enumerations: visited, and found in only by what is certain."""

OPAQUE_DATA: Final = frozenset({"redacted_thinking", "base64"})
"""Types of objects whose `data` is no text; that of a document's source of type `text` is the document."""

KNOWN_WORDS: Final = frozenset(
    """system developer user assistant tool function text input_text output_text message auto none required
    any json_object json_schema object string number integer boolean array null low medium high minimal
    ephemeral function_call function_call_output tool_use tool_result image_url input_image image
    thinking reasoning url base64 float default flex priority completed in_progress""".split()
)
"""Protocol constants that are looked up instead of inspected."""

PROTOCOL_KEYS: Final = (
    frozenset(
        """messages content name text tools tool_calls function functions description parameters strict
        required items enum anyOf oneOf allOf additionalProperties stream stream_options include_usage
        max_tokens max_completion_tokens max_output_tokens temperature top_p top_k n stop seed logprobs
        top_logprobs logit_bias presence_penalty frequency_penalty parallel_tool_calls store reasoning
        thinking budget_tokens cache_control source url image_url input_audio file file_data file_id
        filename file_url title minimum maximum pattern minLength maxLength minItems maxItems const $defs
        $ref $schema refusal is_error annotations citations modalities prediction audio include container
        context_management stop_sequences dimensions output_format output_compression instructions
        reasoning_content refs action query queries results code outputs""".split()
    )
    | frozenset(HISTORY_FIRST)
    | PART_LISTS
    | FREE_KEYS
    | ID_KEYS
)
"""Keys that the wire formats define: never text of a person, so not inspected as such."""
