"""Pure rules about agents that act: their tools, the calls of these, and their conversations.

Start reading at `conversation_forms.py`: how a turn travels to its activity.
"""
