# Serves the models of finished runs, as nobody in particular:
#
#     docker build -t zoo .
#     docker run --rm -p 127.0.0.1:8000:8000 -e ZOO_TOKEN -v "$PWD/runs/finetune/leaves:/model:ro" zoo
#
# More: docs/hub.md.
FROM python:3.12-slim

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TF_CPP_MIN_LOG_LEVEL=3 \
    ZOO_CACHE=/tmp/zoo

WORKDIR /app
COPY pyproject.toml setup.cfg README.md LICENSE ./
COPY callbacks ./callbacks
COPY zoo ./zoo
COPY recipes ./recipes
# The project alone, whose setup.cfg says which versions of others it takes.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir ".[serve]" \
    && useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin zoo

# By number, so that an orchestrator sees that it is not root.
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]

# Without a shell between: `docker stop` reaches the server, which answers what it has taken.
ENTRYPOINT ["zoo", "serve"]
CMD ["/model", "--host", "0.0.0.0", "--port", "8000"]
