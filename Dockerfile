# Haechi in a container: two stages, no root, a read-only root file system.
#
#   docker build -t haechi .
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#     -v haechi-data:/var/lib/haechi -v ./haechi.toml:/etc/haechi/haechi.toml:ro \
#     -v ./haechi.secret:/run/secrets/haechi:ro -p 8080:8080 haechi
#
# The first time, and after an upgrade: the same with `migrate` at the end.

# The build stage is not the slim image: it brings the C compiler for the filter's hot modules.
FROM python:3.11-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /build
COPY requirements/run.lock requirements/build.lock requirements/
RUN python -m venv /opt/haechi \
 && /opt/haechi/bin/pip install --quiet --require-hashes -r requirements/run.lock \
 && python -m venv /build/tools \
 && /build/tools/bin/pip install --quiet --require-hashes -r requirements/build.lock
COPY pyproject.toml README.md ./
COPY gateway gateway
COPY filters filters
COPY billing billing
COPY migrations migrations
COPY simulator simulator
RUN /build/tools/bin/hatchling build -t wheel -d /build/dist \
 && /opt/haechi/bin/pip install --quiet --no-deps /build/dist/haechi-*.whl \
 && /build/tools/bin/python -m filters.scripts.compile /opt/haechi/lib/python3.*/site-packages/filters \
 && /opt/haechi/bin/python -m compileall -q /opt/haechi/lib

FROM python:3.11-slim-bookworm AS run
# HAECHI_SECRET_FILE names a file that is mounted; the secret itself is never in the image.
# hadolint ignore=DL3064
ENV PATH=/opt/haechi/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HAECHI_CONFIG=/etc/haechi/haechi.toml HAECHI_DATA_DIR=/var/lib/haechi HAECHI_SECRET_FILE=/run/secrets/haechi
COPY --from=build /opt/haechi /opt/haechi
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/haechi --shell /usr/sbin/nologin haechi \
 && install -d -o haechi -g haechi -m 0700 /var/lib/haechi \
 && install -d -m 0755 /etc/haechi
USER 10001:10001
WORKDIR /var/lib/haechi
VOLUME /var/lib/haechi
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=6s --start-period=20s --retries=3 CMD ["haechi", "health"]
ENTRYPOINT ["haechi"]
CMD ["serve", "--host", "0.0.0.0"]
