"""A graph of LangGraph: a model and its tools."""

from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from durable_agent_team.agents import AgentTask
from tickets import open_ticket


async def answer(task: AgentTask) -> str:
    client = task.client
    model = ChatOpenAI(model=client.model, base_url=client.base_url, api_key=client.api_key)
    with_tools = model.bind_tools([open_ticket])

    async def think(state: MessagesState) -> dict:
        messages = [("system", task.system()), *state["messages"]]
        return {"messages": [await with_tools.ainvoke(messages)]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", think)
    graph.add_node("tools", ToolNode([open_ticket]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    state = await graph.compile().ainvoke({"messages": [("user", task.prompt())]})
    return state["messages"][-1].text
