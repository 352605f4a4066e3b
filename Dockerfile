# One image for all doors: the command says which. See docs/howto/container.rst.
FROM python:3.13-slim AS build
WORKDIR /src
COPY . .
RUN python3 -m venv --without-pip /opt/aluvia
RUN python3 -m pip --python /opt/aluvia/bin/python3 install --no-cache-dir .
# Twisted's list of plugins: nobody could write it later.
RUN /opt/aluvia/bin/twistd --help > /dev/null
# Where volumes are mounted: a new one takes its owner from here.
RUN mkdir -p /made/aluvia/edge /made/aluvia/key

FROM python:3.13-slim
COPY --from=build /opt/aluvia /opt/aluvia
COPY --from=build --chown=65534:65534 /made /var/lib
USER 65534:65534
WORKDIR /tmp
ENV PATH=/opt/aluvia/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1
ENV ALUVIA_PORT_FILE=/tmp/aluvia.json ALUVIA_GATEWAY_PORT_FILE=/tmp/aluvia.json
ENV ALUVIA_EDGE_PORT_FILE=/tmp/aluvia.json ALUVIA_AGENT_PORT_FILE=/tmp/aluvia.json
EXPOSE 18787
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["aluvia", "ready", "/tmp/aluvia.json"]
ENTRYPOINT ["twistd", "-n", "--pidfile="]
CMD ["aluvia", "--listen", "0.0.0.0", "--token-file", "/run/secrets/aluvia-token", "--local-auth-file", "/run/secrets/aluvia-users", "--log-format", "json"]
