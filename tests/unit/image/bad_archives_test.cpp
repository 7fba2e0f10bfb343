// Archives that mean harm: names and links that lead outside, bombs, and what does not fit
// together.

#include <fstream>

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/text.h"
#include "runtime/image/import.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/image/archives.h"
#include "tests/unit/image/import_fixture.h"

namespace wherry::image_test {
namespace {

using runtime::ImportedImage;
using ::testing::HasSubstr;

const std::string kManifestType = "application/vnd.oci.image.manifest.v1+json";

class BadArchive : public ::testing::Test {
 protected:
  Result<std::vector<ImportedImage>> import(const std::string& bytes) {
    const std::string path = dir_ / "pump.tar";
    std::ofstream(path, std::ios::binary) << bytes;
    return importer_.import(path, {}, {});
  }
  void expect_refused(const std::string& bytes, Code code, const std::string& fault) {
    const auto imported = import(bytes);
    ASSERT_FALSE(imported) << fault;
    EXPECT_EQ(imported.error().code(), code) << imported.error().full();
    EXPECT_THAT(imported.error().full(), HasSubstr(fault));
    expect_empty(store_);
  }
  void expect_refused(const Files& files, Code code, const std::string& fault) {
    expect_refused(make_tar(files), code, fault);
  }

  const test::TempDir dir_;
  FakeImageBackend store_;
  SystemClock clock_;
  runtime::PullLeases leases_{store_, clock_};
  runtime::Importer importer_{store_, "overlayfs", {"linux", "amd64", ""}, leases_};
};

const TestImage& one_layer() {
  static const TestImage image = make_image({make_layer("a", "first")});
  return image;
}

// The good archive, with one file's content changed.
Files with(const std::string& name, const std::string& content) {
  Files files = oci_files(one_layer());
  for (auto& [each, bytes] : files) {
    if (each == name) bytes = content;
  }
  return files;
}

std::string index_of(const std::string& entries) {
  return R"({"schemaVersion":2,"manifests":[)" + entries + "]}";
}

TEST_F(BadArchive, AnIndexThatIsWrongAboutAManifestsSizeIsRefused) {
  const std::string& manifest = one_layer().manifest;
  const std::string right = descriptor_json(manifest, kManifestType);
  std::string wrong = right;
  const std::string size = "\"size\":" + std::to_string(manifest.size());
  wrong.replace(wrong.find(size), size.size(), "\"size\":" + std::to_string(manifest.size() + 1));
  ASSERT_TRUE(import(make_tar(with("index.json", index_of(right)))));
  store_.records.clear();
  store_.collect();
  expect_refused(with("index.json", index_of(wrong)), Code::DataLoss,
                 "does not match its digest and size");
  expect_refused(with("index.json", index_of(descriptor_json("nowhere", kManifestType))),
                 Code::InvalidArgument, "the archive lacks the blob " + sha256_digest("nowhere"));
}

TEST_F(BadArchive, ANameThatIsNoReferenceIsRefusedWithTheName) {
  for (const std::string name : {"../../etc/passwd", "UPPER/case", "a b", "x:", "a\\nb"}) {
    const std::string annotations =
        R"(,"annotations":{"io.containerd.image.name":")" + name + "\"}";
    const auto imported =
        import(make_tar(with("index.json", index_of(descriptor_json(one_layer().manifest,
                                                                    kManifestType, annotations)))));
    ASSERT_FALSE(imported) << name;
    EXPECT_EQ(imported.error().reason(), "InvalidImageName");
    EXPECT_THAT(imported.error().full(), HasSubstr("is not an image reference"));
    EXPECT_EQ(imported.error().full().find('\n'), std::string::npos);
    EXPECT_TRUE(store_.records.empty());
  }
  expect_refused(docker_files(one_layer(), R"(["good:1","-bad"])"), Code::InvalidArgument,
                 "\"-bad\"");
  expect_refused(docker_files(one_layer(), R"([5])"), Code::InvalidArgument, "it is empty");
}

TEST_F(BadArchive, BlobsThatAreLinksLeadNowhereOutside) {
  const std::string outside = dir_ / "outside";
  std::ofstream(outside, std::ios::binary) << one_layer().manifest;
  const std::string blob = blob_name(one_layer().manifest);
  for (const std::string& link :
       {"-> " + outside, "=> " + outside, "-> ../../../../../../" + outside,
        std::string("=> ../outside"), std::string("-> ")}) {
    expect_refused(with(blob, link), Code::InvalidArgument, "the archive lacks the blob");
  }
  expect_refused(with(blob_name(one_layer().layers[0].blob), "-> " + outside),
                 Code::InvalidArgument, "the archive lacks the layer");
}

TEST_F(BadArchive, FilesThatAreThereTwiceAreRefused) {
  const std::string blob = blob_name(one_layer().manifest);
  for (const std::string& second : {blob, "./" + blob, "x/../" + blob, std::string("index.json")}) {
    Files files = oci_files(one_layer());
    files.emplace_back(second, "something else");
    expect_refused(files, Code::InvalidArgument, "twice");
  }
}

// A tar of one sparse file: `data` bytes at the beginning of a file that claims `size`.
std::string sparse_tar(const std::string& name, size_t data, int64_t size) {
  std::string out;
  archive* writer = archive_write_new();
  archive_write_set_format_pax(writer);
  archive_write_open(
      writer, &out, nullptr,
      [](archive*, void* to, const void* bytes, size_t count) {
        static_cast<std::string*>(to)->append(static_cast<const char*>(bytes), count);
        return static_cast<la_ssize_t>(count);
      },
      nullptr);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, name.c_str());
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_perm(entry, 0644);
  archive_entry_set_size(entry, size);
  archive_entry_sparse_add_entry(entry, 0, static_cast<la_int64_t>(data));
  archive_write_header(writer, entry);
  archive_write_data(writer, std::string(data, '{').data(), data);
  archive_entry_free(entry);
  archive_write_free(writer);
  return out;
}

// Read to its end it would keep the agent busy for a century.
TEST_F(BadArchive, ASparseFileIsRefusedWhateverItIsCalled) {
  for (const size_t data : {size_t{0}, size_t{512}}) {
    for (const std::string name : {"index.json", "readme", "blobs/sha256/x"}) {
      const std::string tar = sparse_tar(name, data, int64_t{1} << 60);
      ASSERT_LT(tar.size(), 20'000u);
      expect_refused(tar, Code::InvalidArgument, name + " is a sparse file");
    }
  }
}

TEST_F(BadArchive, HugeHeadersAreNoReasonToTakeMemory) {
  // A GNU long name, and a pax header, of "eight gigabytes".
  for (const char type : {'L', 'K', 'x', 'g'}) {
    std::string tar = make_tar({{"readme", "x"}});
    std::string header = tar.substr(0, 512);
    header[156] = type;
    header.replace(124, 12, "77777777777 ");
    header.replace(148, 8, "        ");
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    char octal[8];
    std::snprintf(octal, sizeof octal, "%06o", sum);
    header.replace(148, 7, octal, 7);
    const auto imported = import(header + std::string(4096, 'a') + tar);
    ASSERT_FALSE(imported) << type;
    EXPECT_TRUE(imported.error().code() == Code::InvalidArgument ||
                imported.error().code() == Code::DataLoss)
        << imported.error().full();
    EXPECT_LT(imported.error().full().size(), 500u);
  }
}

TEST_F(BadArchive, ManyImagesOfOneLargeManifestTakeNoMemoryForEach) {
  TestImage large = one_layer();
  large.config.insert(1, "\"comment\":\"" + std::string(1 << 20, 'x') + "\",");
  const std::string old =
      descriptor_json(one_layer().config, "application/vnd.oci.image.config.v1+json");
  large.manifest.replace(large.manifest.find(old), old.size(),
                         descriptor_json(large.config, "application/vnd.oci.image.config.v1+json"));
  std::vector<std::string> entries;
  for (int i = 0; i < 100; ++i) {
    entries.push_back(descriptor_json(
        large.manifest, kManifestType,
        R"(,"annotations":{"io.containerd.image.name":"r.local/x:)" + std::to_string(i) + "\"}"));
  }
  Files files = oci_files(large);
  files.back().second = index_of(join(entries, ","));
  expect_refused(files, Code::InvalidArgument, "larger than 16 MiB together");
  entries.resize(10);
  files.back().second = index_of(join(entries, ","));
  const auto few = import(make_tar(files));
  EXPECT_TRUE(few) << few.error().full();
}

TEST_F(BadArchive, ListsWithoutEndAreRefused) {
  const auto repeated = [](const std::string& item, int count) {
    return join(std::vector<std::string>(static_cast<size_t>(count), item), ",");
  };
  expect_refused(docker_files(one_layer(), "[" + repeated("\"x:1\"", 1001) + "]"),
                 Code::InvalidArgument, "too many images");
  Files docker = docker_files(one_layer(), R"(["x:1"])");
  docker.back().second = R"([{"Config":")" + docker[1].first + R"(","Layers":[)" +
                         repeated("\"" + docker[0].first + "\"", 501) + "]}]";
  expect_refused(docker, Code::InvalidArgument, "too many layers");
  Files many;
  for (int i = 0; i <= 20'000; ++i) many.emplace_back(std::to_string(i), "");
  expect_refused(many, Code::InvalidArgument, "too many files");
  expect_refused({{"index.json", std::string(5 << 20, ' ')}}, Code::InvalidArgument,
                 "larger than 4 MiB");
  expect_refused({{"manifest.json", std::string(100'000, '[')}}, Code::InvalidArgument,
                 "not a list of images");
}

TEST_F(BadArchive, NamesThatAreNoTextDoNotSpoilTheMessage) {
  Files docker = docker_files(one_layer(), R"(["x:1"])");
  docker.back().second = R"([{"Config":")" + docker[1].first + R"(","Layers":["a\u001b[2J\nb)" +
                         std::string(3000, 'x') + "\"]}]";
  const auto imported = import(make_tar(docker));
  ASSERT_FALSE(imported);
  EXPECT_THAT(imported.error().full(), HasSubstr("the archive lacks the layer a?[2J?bxxx"));
  EXPECT_LT(imported.error().full().size(), 500u);
}

}  // namespace
}  // namespace wherry::image_test
