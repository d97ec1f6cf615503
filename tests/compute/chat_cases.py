"""Chat-template cases: templates like the widely used ones, and what transformers renders.

`entropy-viz compute` renders templates without Jinja itself, so every feature that published templates lean
on has a case here. `tojson`, `raise_exception`, loop controls and block trimming are as transformers sets
them, not as Jinja does. `tokens` are those that the tokenizer has: one that it lacks is undefined. transformers
also drops the keys of a message that are null, and passes `tools` and `documents` as none.
"""
import json

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerFast

QWEN25 = r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.' }}
    {%- endif %}
    {{- "\n\n# Tools\n\nYou may call one or more functions.\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools>\n\n{\"name\": <function-name>, \"arguments\": <args-json-object>}<|im_end|>\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\n<tool_call>\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' }}
        {{- message.content }}
        {{- '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
"""

QWEN3 = r"""{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\n<think>\n' + reasoning_content.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}
"""

LLAMA3 = r"""{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- The system message is taken out, so that it can be put in its place. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}

{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\n" }}
{%- endif %}
{{- "Cutting Knowledge Date: December 2023\n" }}
{{- "Today Date: " + date_string + "\n\n" }}
{%- if tools is not none %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\n\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\n\n{"name": "' + tool_call.name + '", "parameters": ' + tool_call.arguments | tojson + '}<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
"""

MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}")

GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}")

PHI3 = (
    "{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\n' + message['content'] + '<|end|>\n'}}"
    "{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}"
    "{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}")

# Jinja (trim_blocks, lstrip_blocks) drops the first line break after a block and the blanks before one, unless + is given.
WHITESPACE = """start
  {% for message in messages %}
  [{{ message.role }}]\x20\x20\x20
    {%- if message.role == 'user' -%}
      {{ message.content }}
    {%- endif +%}
  {%+ if true %}kept indent{% endif %}

  {# a comment's line goes too #}
  {{ message.content }}\x20\x20
  {% endfor %}
end\x20\x20\x20
{% if add_generation_prompt %}
A:
{% endif %}
tail

"""

PARTS = """{%- for message in messages %}
{{- message.role ~ ': ' }}
{%- if message.content is string %}
{{- message.content }}
{%- elif message.content is iterable and message.content is not mapping %}
{%- for part in message.content %}
{%- if part is mapping and part.type == 'text' %}{{- part.text }}
{%- elif part is mapping %}{{- '<' ~ part['type'] ~ '>' }}
{%- else %}{{- part }}
{%- endif %}
{%- endfor %}
{%- elif message.content is mapping %}
{%- for key, value in message.content.items() %}{{- key ~ '=' ~ value }}{{- ';' if not loop.last }}{%- endfor %}
{%- endif %}
{{- '\n' }}
{%- endfor %}"""

NEIGHBOURS = """{%- for message in messages -%}
{%- if loop.previtem is defined and loop.previtem.role == message.role %}{{ '+' }}{% else %}{{ '<' + message.role + '>' }}{% endif -%}
{{ message.content }}
{%- if loop.nextitem is not defined or loop.nextitem.role != message.role %}{{ '</' + message.role + '>\n' }}{% endif -%}
{%- endfor -%}
{{ loop is defined }} {{ messages | length }}"""

# From here on, each case tests one feature, so that a failure names it.
STRIP = r"[{{ messages[0].content.strip() }}][{{ messages[0].content.lstrip() }}][{{ messages[0].content.rstrip() }}][{{ messages[0].content.strip('\n x') }}][{{ messages[0].content | trim }}]"
CASE = "{% set c = messages[0].content.strip() %}[{{ c.upper() }}][{{ c.lower() }}][{{ c.title() }}][{{ c.capitalize() }}][{{ 'hello world' | title }}][{{ 'hELLO' | capitalize }}]"
FIND = "{% set c = messages[0].content %}[{{ c.startswith('  x') }}][{{ c.endswith('z') }}][{{ c.find('a') }}][{{ c.count('a') }}][{{ 'app' in c }}][{{ 'zzz' not in c }}]"
SPLIT = "{% set c = messages[0].content %}[{{ c.split() | join('|') }}][{{ c.split('a', 1) | join('|') }}][{{ c.split('a')[-1] }}][{{ ', '.join(['p', 'q']) }}][{{ c.replace('a', 'A') }}][{{ c | replace('a', '') }}]"
CHARACTERS = r"""[{{ 'abcdef'[1:4] }}][{{ 'abcdef'[-2:] }}][{{ 'abcdef'[::-1] }}][{{ '策略熵'[1] }}][{{ '策略熵' | length }}][{{ 'x' * 3 }}][{{ "tab\tquote\"" }}][{{ 'it\'s' }}][{{ '\u00e9' }}]"""
FORMAT = "[{{ '%s-%s' | format('a', 1) }}][{{ '%s/%d' % ('b', 2) }}]"

LITERALS = "{{ true }} {{ false }} {{ none }} {{ True }} {{ None }} {{ 'a' ~ 1 ~ none ~ true }}"
LISTS = "{{ [1, 'a', none, true] }} {{ {'k': 'v', 'n': 1.5} }} {{ (1, 2) }} {{ ['it is', \"it's\"] }} {{ [1, 2] + [3] }}"
NUMBERS = "{{ 1.0 }} {{ 3 / 2 }} {{ 4 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 2 ** 10 }} {{ 1 == 1.0 }} {{ '5' | int + 1 }}"
UNDEFINED = ("{{ missing }}|{{ missing is defined }}|{{ messages[0].missing is none }}|{{ messages[0].missing is defined }}|{{ messages[0]['missing'] }}|"
             "{{ 1 if false }}|{{ missing | default('fallback') }}|{{ '' | default('empty', true) }}|{{ [] or 'empty' }}|{{ not missing }}")
NULL = "{% for message in messages %}{{ message.content is defined }}{{ 'content' in message }}{{ message.tool_calls is defined }}{{ message | tojson }}\n{% endfor %}"

SELECT = """{%- set users = messages | selectattr('role', 'equalto', 'user') | list -%}
{{ users | length }} {{ users | map(attribute='content') | join(' / ') }}
{{ messages | rejectattr('role', 'equalto', 'user') | map(attribute='role') | join(',') }}
{{ messages | map(attribute='role') | unique | join(',') }} {{ (messages | last).content }} {{ (messages | first).role }}"""
FILTERS = ("{{ [3, 1, 2] | sort | join }} {{ [1, 2, 3] | sum }} {{ [1, 2, 3] | reverse | list | join }} {{ messages[0] | items | list | length }} "
           "{% for k, v in {'b': 1, 'a': 2} | dictsort %}{{ k }}{{ v }}{% endfor %} {{ '<b>&' | escape }} {{ 'a b' | upper }} {{ 'abc' | list | join('-') }}")
MACROS = """{%- macro wrap(text, tag='t') %}<{{ tag }}>{{ text }}</{{ tag }}>{% endmacro %}
{{ wrap('in') }}{{ wrap('in', tag='u') }}
{%- set block %}captured {{ messages[0].content }}{% endset %}
{{ block }}{% filter upper %}loud{% endfilter %}"""
FOR = """{%- for a, b in [('x', 1), ('y', 2)] if b > 1 %}{{ a }}{{ loop.length }}{% else %}none{% endfor %}
{%- for x in [] %}never{% else %} empty{% endfor %}
{%- for i in range(2, 8, 3) %} {{ i }}:{{ loop.revindex }}:{{ loop.revindex0 }}:{{ loop.first }}:{{ loop.cycle('odd', 'even') }}{% endfor %}"""

LOOPS = """{%- for message in messages %}
    {%- if message.role == 'system' %}{% continue %}{% endif %}
    {%- if message.content == 'stop' %}{{ '[stopped]' }}{% break %}{% endif %}
    {{- loop.index ~ message.content ~ '\n' }}
{%- endfor %}
{{- 'outer ' }}{% set seen = namespace(count=0, names=[]) %}
{%- for a in range(3) %}{% for b in range(3) %}{% if b > a %}{% break %}{% endif %}{% set seen.count = seen.count + 1 %}{% set seen.names = seen.names + [a ~ b] %}{% endfor %}{% endfor %}
{{- seen.count ~ ' ' ~ seen.names | join(',') }}"""

GENERATION = """{% for message in messages %}
{% if message.role == 'assistant' %}
A: {% generation %}{{ message.content }}{{ eos_token }}{% endgeneration %}

{% else %}
U: {{ message.content }}
{% endif %}
{% endfor %}
{% if add_generation_prompt %}A: {% endif %}"""

SLICES = """{%- set rest = messages[1:] if messages[0].role == 'system' else messages -%}
{{ rest | length }}{{ messages[-1].content }}{{ messages[-2:][0].content }}{{ messages[:-1] | length }}{{ messages[::2] | map(attribute='content') | join }}
{%- for message in messages[1:-1] %}({{ message.content }}){% endfor %}
{{ messages[0].get('name', 'unnamed') }} {{ messages[0].get('role') }} {{ messages[0].get('absent') }} {{ 'role' in messages[0] }} {{ messages[0]['absent'] is defined }} {{ messages[0].keys() | join(',') }}"""

TOJSON = """{{ messages | tojson }}
{{ messages[0] | tojson(indent=2) }}
{{ {'b': [1, 2.0, none, true], 'a': {}} | tojson(sort_keys=true) }}
{{ 'é"\\n' | tojson(ensure_ascii=true) }} {{ [1, {'k': 2}] | tojson(separators=(',', ':')) }}"""

WEATHER = {"type": "function", "function": {"name": "weather", "description": "The weather of a <city> & 'now'", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "description": "Zürich, 東京"}}, "required": ["city"]}}}
CALL = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "weather", "arguments": {"city": "Zürich", "days": 2, "exact": True}}}]}


def user(content):
    return {"role": "user", "content": content}


def assistant(content, **extra):
    return {"role": "assistant", "content": content, **extra}


def system(content):
    return {"role": "system", "content": content}


QWEN_TOKENS = {"eos_token": "<|im_end|>"}
LLAMA_TOKENS = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
SENTENCEPIECE_TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
GEMMA_TOKENS = {"bos_token": "<bos>", "eos_token": "<eos>"}
TALK = [user("What is 3 + 4?"), assistant("7"), user("And 3 * 4?")]
THINKING = [system("Be brief."), user("One?"), assistant("<think>\nhm, one\n</think>\n\nOne."), user("Two?"),
            assistant("", reasoning_content="\nlook it up\n"), user("<tool_response>2</tool_response>"), assistant("<think>\nso two\n</think>\n\nTwo.")]
FRUIT = [user("  xan apple a day\n Tail\n")]
ODD_TEXT = [system("naïve 策略熵 🎲\u200b"), user("<b>&amp; 'q' \"d\" \\n {{ not_a_tag }} {% nor_this %} </b>\t\u2028\u00a0x\r\n y")]

# name, template, tokens, messages, extra arguments
CASES = [
    ("qwen2.5: default system message", QWEN25, QWEN_TOKENS, [user("What is 3 + 4?")], {}),
    ("qwen2.5: system message, several turns", QWEN25, QWEN_TOKENS, [system("Be brief."), *TALK], {}),
    ("qwen2.5: tools", QWEN25, QWEN_TOKENS, [user("Weather?"), CALL, {"role": "tool", "content": "sun"}, {"role": "tool", "content": "rain"}], {"tools": [WEATHER]}),
    ("qwen2.5: odd text", QWEN25, QWEN_TOKENS, ODD_TEXT, {}),
    ("qwen3: thinking", QWEN3, QWEN_TOKENS, [user("What is 3 + 4?")], {}),
    ("qwen3: enable_thinking is false", QWEN3, QWEN_TOKENS, [user("What is 3 + 4?")], {"enable_thinking": False}),
    ("qwen3: reasoning is kept only after the last question", QWEN3, QWEN_TOKENS, THINKING, {}),
    ("qwen3: reasoning in a field of its own", QWEN3, QWEN_TOKENS, [*TALK, assistant("12", reasoning_content="\n\nthree fours\n")], {"enable_thinking": True}),
    ("llama3: date", LLAMA3, LLAMA_TOKENS, [user("  What is 3 + 4?\n")], {"date_string": "01 Jan 2025"}),
    ("llama3: system message and tools", LLAMA3, LLAMA_TOKENS, [system(" Be brief.\n"), user("Weather?"), CALL], {"date_string": "01 Jan 2025", "tools": [WEATHER]}),
    ("llama3: two tool calls raise", LLAMA3, LLAMA_TOKENS, [user("Weather?"), dict(CALL, tool_calls=CALL["tool_calls"] * 2)], {"date_string": "01 Jan 2025"}),
    ("mistral", MISTRAL, SENTENCEPIECE_TOKENS, TALK, {}),
    ("mistral: roles that do not alternate raise", MISTRAL, SENTENCEPIECE_TOKENS, [user("a"), user("b")], {}),
    ("gemma", GEMMA, GEMMA_TOKENS, [user("  a \n"), assistant("b "), user("\u00a0c\u3000")], {}),
    ("gemma: a system message raises", GEMMA, GEMMA_TOKENS, [system("Be brief."), user("a")], {}),
    ("phi3", PHI3, {"bos_token": "<s>", "eos_token": "<|endoftext|>"}, [system(""), *TALK], {}),
    ("whitespace control", WHITESPACE, {}, TALK[:2], {}),
    ("parts and mappings", PARTS, {}, [user([{"type": "text", "text": "a"}, {"type": "image"}, "b"]), user("plain"), user({"k": "v", "n": 1})], {}),
    ("previtem and nextitem", NEIGHBOURS, {}, [user("a"), user("b"), assistant("c"), user("d")], {}),
    ("strip", STRIP, {}, FRUIT, {}),
    ("upper, lower, title, capitalize", CASE, {}, FRUIT, {}),
    ("startswith, endswith, find, count, in", FIND, {}, FRUIT, {}),
    ("split, join, replace", SPLIT, {}, FRUIT, {}),
    ("characters, slices of text and escapes", CHARACTERS, {}, FRUIT, {}),
    ("format", FORMAT, {}, FRUIT, {}),
    ("true, false and none print as in Python", LITERALS, {}, TALK[:1], {}),
    ("lists and mappings print as in Python", LISTS, {}, TALK[:1], {}),
    ("arithmetic is Python's", NUMBERS, {}, TALK[:1], {}),
    ("what is undefined", UNDEFINED, {}, TALK[:1], {}),
    ("a null key of a message counts as absent", NULL, {}, [user(None), assistant("a", tool_calls=None)], {}),
    ("selectattr, rejectattr, map, unique", SELECT, {}, [system("s"), *TALK], {}),
    ("other filters", FILTERS, {}, TALK, {}),
    ("macros and captured blocks", MACROS, {}, TALK, {}),
    ("for with if and else, range", FOR, {}, TALK, {}),
    ("break and continue", LOOPS, {}, [system("s"), user("a"), assistant("b"), user("stop"), assistant("never")], {}),
    ("generation block", GENERATION, QWEN_TOKENS, TALK, {}),
    ("slices and get", SLICES, {}, [dict(system("s"), name="n"), *TALK], {}),
    ("tojson", TOJSON, {}, ODD_TEXT, {}),
    ("a token that the tokenizer lacks is undefined", "{{ bos_token }}|{{ bos_token is defined }}|{{ eos_token }}|{{ messages[0].content }}", QWEN_TOKENS, [user("a")], {}),
    ("a key that a message lacks, used as text, raises", "{{ 'a' + messages[0].name }}", {}, [user("a")], {}),
]


def make(path, backend):
    cases = [render(backend, *case) for case in CASES]
    path.write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def render(backend, name, template, tokens, messages, args):
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **tokens)
    case = {"name": name, "template": template, "tokens": tokens, "messages": messages, "args": args}
    try:
        case["expected"] = tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False, add_generation_prompt=True, **args)
    except TemplateError as error:
        case["expected_error"] = str(error)
    return case
