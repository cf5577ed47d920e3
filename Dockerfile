# syntax=docker/dockerfile:1
# The program alone: the database is another container (docker-compose.yml).

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags="-s -w" -o /out/changde ./cmd/changde

FROM debian:bookworm-slim
# ca-certificates for outgoing TLS, curl for the health check, GDAL for the formats
# that have no reader of our own.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates curl gdal-bin \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin changde \
 && install --directory --owner=changde --group=changde /var/lib/changde
COPY --from=build /out/changde /usr/local/bin/changde
USER changde
WORKDIR /var/lib/changde
ENV CHANGDE_DATA=/var/lib/changde
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["curl", "--fail", "--silent", "--show-error", "--output", "/dev/null", "http://127.0.0.1:8080/healthz"]
ENTRYPOINT ["changde"]
CMD ["serve", "--listen", "0.0.0.0:8080"]
