// One JSON line per client and way of asking: what a staff tool written in JavaScript sees of Haechi.
// Arguments: base URL with /v1, key, model, a model in the house (pictures may not leave it), a picture in base64.
// Prints; judges nothing (test_javascript.py does).
import OpenAI, { APIError } from "openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";

const [baseURL, apiKey, model, houseModel, picture] = process.argv.slice(2);
const prompt = "총무과 주간 업무보고 초안을 한 문단으로 써 주세요.";
const secret = "주민등록번호 901010-1234567 로 민원을 찾아 주세요.";
const messages = [{ role: "user", content: prompt }];

const openai = new OpenAI({ baseURL, apiKey, maxRetries: 2 });
const haechi = createOpenAICompatible({ name: "haechi", baseURL, apiKey, includeUsage: true });

const lawSchema = { type: "object", properties: { law: { type: "string" } }, required: ["law"] };
const lawQuestion = "지방계약법 제9조를 찾아 줘.";
const openaiTools = [{ type: "function", function: { name: "lookUp", description: "법령을 찾는다", parameters: lawSchema } }];
const openaiPicture = [
  {
    role: "user",
    content: [
      { type: "text", text: prompt },
      { type: "image_url", image_url: { url: `data:image/png;base64,${picture}` } },
    ],
  },
];
const aiPicture = [
  { role: "user", content: [{ type: "text", text: prompt }, { type: "image", image: picture, mediaType: "image/png" }] },
];
const lookUp = tool({ description: "법령을 찾는다", inputSchema: jsonSchema(lawSchema) });

// The text of a streamed chat and its tool calls, put together as the SDK leaves it to its users.
async function gathered(request) {
  let text = "";
  const calls = [];
  for await (const chunk of await openai.chat.completions.create({ ...request, stream: true })) {
    const delta = chunk.choices[0]?.delta ?? {};
    text += delta.content ?? "";
    for (const call of delta.tool_calls ?? []) {
      calls[call.index] ??= { name: "", input: "" };
      calls[call.index].name += call.function?.name ?? "";
      calls[call.index].input += call.function?.arguments ?? "";
    }
  }
  return { text, calls: calls.map((call) => ({ name: call.name, input: JSON.parse(call.input) })) };
}

const ways = {
  async openaiModels() {
    return { ids: (await openai.models.list()).data.map((entry) => entry.id) };
  },
  async openaiPlain() {
    const answer = await openai.chat.completions.create({ model, messages });
    return { text: answer.choices[0].message.content, usage: answer.usage };
  },
  async openaiStream() {
    const stream = await openai.chat.completions.create({
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let usage = null;
    let chunks = 0;
    for await (const chunk of stream) {
      chunks += 1;
      text += chunk.choices[0]?.delta?.content ?? "";
      usage = chunk.usage ?? usage;
    }
    return { text, usage, chunks };
  },
  async openaiTools() {
    const request = { model, messages: [{ role: "user", content: lawQuestion }], tools: openaiTools, tool_choice: "required" };
    const calls = (await openai.chat.completions.create(request)).choices[0].message.tool_calls;
    return { calls: calls.map(({ function: f }) => ({ name: f.name, input: JSON.parse(f.arguments) })) };
  },
  async openaiToolsStream() {
    return gathered({
      model,
      messages: [{ role: "user", content: lawQuestion }],
      tools: openaiTools,
      tool_choice: "required",
    });
  },
  async openaiPicture() {
    const answer = await openai.chat.completions.create({ model: houseModel, messages: openaiPicture });
    return { text: answer.choices[0].message.content };
  },
  async openaiPictureStream() {
    return gathered({ model: houseModel, messages: openaiPicture });
  },
  async openaiBlocked() {
    try {
      await openai.chat.completions.create({ model, messages: [{ role: "user", content: secret }] });
    } catch (error) {
      if (!(error instanceof APIError)) throw error;
      return { status: error.status, type: error.type, code: error.code, message: error.message };
    }
    return { status: 200 };
  },
  async openaiWrongKey() {
    try {
      await new OpenAI({ baseURL, apiKey: "hk-wrong" }).models.list();
    } catch (error) {
      return { status: error.status, code: error.code, requestId: error.requestID ?? null };
    }
    return { status: 200 };
  },
  async aiSdkPlain() {
    const { text, usage } = await generateText({ model: haechi(model), prompt });
    return { text, usage };
  },
  async aiSdkStream() {
    const result = streamText({ model: haechi(model), prompt });
    let text = "";
    for await (const part of result.textStream) text += part;
    return { text, usage: await result.usage };
  },
  async aiSdkTools() {
    const asked = { model: haechi(model), prompt: lawQuestion, tools: { lookUp }, toolChoice: "required" };
    const { toolCalls, finishReason } = await generateText(asked);
    return { finishReason, calls: toolCalls.map((call) => ({ name: call.toolName, input: call.input })) };
  },
  async aiSdkToolsStream() {
    const result = streamText({ model: haechi(model), prompt: lawQuestion, tools: { lookUp }, toolChoice: "required" });
    await result.consumeStream();
    const [toolCalls, finishReason] = [await result.toolCalls, await result.finishReason];
    return { finishReason, calls: toolCalls.map((call) => ({ name: call.toolName, input: call.input })) };
  },
  async aiSdkToolResult() {
    const answering = tool({
      description: "법령을 찾는다",
      inputSchema: jsonSchema(lawSchema),
      execute: async () => "제9조(계약의 방법) 일반입찰에 부쳐야 한다",
    });
    const tools = { lookUp: answering };
    const { text, steps } = await generateText({ model: haechi(model), prompt: lawQuestion, tools, stopWhen: stepCountIs(3) });
    return { text, steps: steps.length };
  },
  async aiSdkPicture() {
    const { text, usage } = await generateText({ model: haechi(houseModel), messages: aiPicture });
    return { text, usage };
  },
  async aiSdkPictureStream() {
    const result = streamText({ model: haechi(houseModel), messages: aiPicture });
    let text = "";
    for await (const part of result.textStream) text += part;
    return { text, usage: await result.usage };
  },
};

for (const [way, ask] of Object.entries(ways)) {
  console.log(JSON.stringify({ way, ...(await ask()) }));
}
