"""Catalogs for tests."""

from sqlalchemy import create_engine, text

from tests.servers.postgresql import PostgreSQLServer


def emptied(server: PostgreSQLServer) -> str:
    engine = create_engine(server.url.replace("postgresql", "postgresql+psycopg", 1))
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
    engine.dispose()
    return server.url
