// One JSON line per client and way of asking: what a staff tool written in JavaScript sees of Haechi.
// Arguments: base URL with /v1, key, model. Prints; judges nothing (test_javascript.py does).
import OpenAI, { APIError } from "openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, streamText, tool } from "ai";

const [baseURL, apiKey, model] = process.argv.slice(2);
const prompt = "총무과 주간 업무보고 초안을 한 문단으로 써 주세요.";
const secret = "주민등록번호 901010-1234567 로 민원을 찾아 주세요.";
const messages = [{ role: "user", content: prompt }];

const openai = new OpenAI({ baseURL, apiKey, maxRetries: 2 });
const haechi = createOpenAICompatible({ name: "haechi", baseURL, apiKey, includeUsage: true });

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
    const schema = jsonSchema({ type: "object", properties: { law: { type: "string" } }, required: ["law"] });
    const lookUp = tool({ description: "법령을 찾는다", inputSchema: schema });
    const { text, toolCalls, finishReason } = await generateText({
      model: haechi(model),
      prompt: "지방계약법 제9조를 찾아 줘.",
      tools: { lookUp },
    });
    return { text, finishReason, calls: toolCalls.map((call) => ({ name: call.toolName, input: call.input })) };
  },
};

for (const [way, ask] of Object.entries(ways)) {
  console.log(JSON.stringify({ way, ...(await ask()) }));
}
