// An agent of Mastra. The task comes on standard input as JSON; what is printed is the answer.
import { appendFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { Agent } from '@mastra/core/agent';
import { createTool } from '@mastra/core/tools';
import { z } from 'zod';

const { AGENT_BASE_URL: baseURL, AGENT_API_KEY: apiKey, AGENT_MODEL, TICKETS } = process.env;
const task = JSON.parse(await text(process.stdin));
const openTicket = createTool({
  id: 'open_ticket',
  description: 'Opens a ticket for the workshop and returns its number.',
  inputSchema: z.object({ title: z.string().describe('what is broken, in a few words') }),
  execute: async ({ title }) => { appendFileSync(TICKETS, `${title}\n`); return 'ticket 1'; },
});
const model = createOpenAICompatible({ name: 'gateway', baseURL, apiKey }).chatModel(AGENT_MODEL);
const agent = new Agent({ id: 'desk', name: 'desk', instructions: task.instructions, model, tools: { open_ticket: openTicket } });
const result = await agent.generate(task.ask);
process.stdout.write(result.text);
