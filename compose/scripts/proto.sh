#!/usr/bin/env bash
# Generates Shared/Wire/Generated from Shared/Wire/Protos. The result is committed, because building the plugin is slow.
# Needs protoc (Debian: protobuf-compiler); builds protoc-gen-swift from the swift-protobuf of this package.
set -euo pipefail
cd "$(dirname "$0")/../.."
plugin=${PROTOC_GEN_SWIFT:-}
if [ -z "$plugin" ]; then
    swift build --package-path .build/checkouts/swift-protobuf --product protoc-gen-swift
    plugin=.build/checkouts/swift-protobuf/.build/debug/protoc-gen-swift
fi
rm -rf Shared/Wire/Generated
mkdir -p Shared/Wire/Generated
protoc --plugin=protoc-gen-swift="$plugin" --proto_path=Shared/Wire/Protos \
    --swift_opt=Visibility=Package --swift_opt=UseAccessLevelOnImports=true --swift_out=Shared/Wire/Generated \
    Shared/Wire/Protos/*.proto
