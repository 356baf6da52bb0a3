"""Starts llmock, an LLM vendor that fails on command, on a free loopback port.

Faults are queued with POST /_llmock/scenario. It checks no credential.
"""

import uvicorn
from launch import announce, loopback
from llmock.main import create_app

sock = loopback()
announce("llmock", sock)
uvicorn.Server(uvicorn.Config(create_app(), log_level="warning", timeout_keep_alive=60)).run(sockets=[sock])
