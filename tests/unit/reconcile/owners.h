#pragma once
// Objects that own Pods, one line of YAML each.

#include <string>

namespace wherry::test {

inline std::string owner(const std::string& kind, const std::string& name,
                         const std::string& spec) {
  const std::string version = kind.ends_with("Job") ? "batch/v1" : "apps/v1";
  return "{ apiVersion: " + version + ", kind: " + kind + ", metadata: { name: " + name +
         " }, spec: { " + spec + " } }\n";
}

inline std::string pods_of(const std::string& image = "img:1", const std::string& more = "") {
  return "template: { metadata: { labels: { app: x } }, spec: { hostNetwork: true, "
         "containers: [{ name: app, image: \"" +
         image + "\" }]" + more + " } }";
}

inline std::string deployment(const std::string& name, int replicas, const std::string& image,
                              const std::string& more = "",
                              const std::string& kind = "Deployment") {
  return owner(kind, name,
               (kind == "DaemonSet" ? "" : "replicas: " + std::to_string(replicas) + ", ") +
                   "selector: { matchLabels: { app: x } }, " + more + pods_of(image));
}

inline std::string job_spec(const std::string& more = "", const std::string& restart = "Never",
                            const std::string& image = "img:1") {
  return more + pods_of(image, ", restartPolicy: " + restart);
}
inline std::string job(const std::string& name, const std::string& more = "",
                       const std::string& restart = "Never", const std::string& image = "img:1") {
  return owner("Job", name, job_spec(more, restart, image));
}
inline std::string cron_job(const std::string& name, const std::string& schedule,
                            const std::string& more = "", const std::string& job_more = "") {
  return owner("CronJob", name,
               "schedule: \"" + schedule + "\", " + more + "jobTemplate: { spec: { " +
                   job_spec(job_more) + " } }");
}

}  // namespace wherry::test
